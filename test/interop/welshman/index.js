export * from "@welshman/net"
