#!/bin/sh
# Accepts every event, with nothing but a shell and sed.
while IFS= read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/^{"type":"new","event":{"id":"\([0-9a-f]*\)".*/\1/p')
  printf '{"id":"%s","action":"accept"}\n' "$id"
done
