#!/bin/sh
# Answers nothing, ignores what it may, and has a child that does the same and holds its output open.
trap '' TERM INT HUP PIPE
sleep 3600 &
echo "$$ $!" > "$0.pids"
while :; do sleep 3600; done
