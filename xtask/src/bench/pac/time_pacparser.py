"""Times pacparser: python3 time_pacparser.py SCRIPT CALLS HOST...

Prints {"load": microseconds, "call": microseconds, "answers": [...]}.
"""

import json
import statistics
import sys
import time

import pacparser

LOADS = 9
ROUNDS = 15


def main():
    script = open(sys.argv[1]).read()
    calls = int(sys.argv[2])
    targets = [(f"http://{host}/index.html", host) for host in sys.argv[3:]]
    loads = []
    for _ in range(LOADS):
        began = time.perf_counter()
        pacparser.init()
        pacparser.parse_pac_string(script)
        pacparser.find_proxy(*targets[0])
        loads.append(time.perf_counter() - began)
        pacparser.cleanup()
    pacparser.init()
    pacparser.parse_pac_string(script)
    answers = [pacparser.find_proxy(url, host) for url, host in targets]
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for index in range(calls):
            url, host = targets[index % len(targets)]
            pacparser.find_proxy(url, host)
        rounds.append((time.perf_counter() - began) / calls)
    print(json.dumps({
        "load": statistics.median(loads) * 1e6,
        "call": statistics.median(rounds) * 1e6,
        "answers": answers,
    }))


main()
