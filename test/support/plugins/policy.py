#!/usr/bin/env python3
"""A write policy that does what an event's content says; anything else is accepted. Its questions go to a file."""
import json
import os
import sys
import time

log = open(sys.argv[0] + ".log", "a", buffering=1)
for line in sys.stdin:
    log.write(line)
    question = json.loads(line)
    event = question["event"]
    answer = {"id": event["id"], "action": "accept"}
    word = event["content"]
    if word == "hang":
        time.sleep(3600)
    elif word == "die":
        os._exit(3)
    elif word == "babble":
        print("babble", flush=True)
        continue
    elif word == "flood":
        print("x" * 1_000_000, flush=True)
        continue
    elif word == "other":
        answer["id"] = "0" * 64
    elif word == "shadow":
        answer.update(action="shadowReject", msg="nobody is told")
    elif word.startswith("reject"):
        answer.update(action="reject", msg=word[len("reject "):])
    print(json.dumps(answer), flush=True)
