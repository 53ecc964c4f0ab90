"""What the load generators really printed, kept for the tests."""

WRK = """Running 1s test @ http://127.0.0.1:28417
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.54ms    1.93ms  22.20ms   90.50%
    Req/Sec    18.45k     1.87k   20.96k    80.00%
  18391 requests in 1.00s, 9.41MB read
  Non-2xx or 3xx responses: 735
Requests/sec:  18356.88
Transfer/sec:      9.39MB
outcome {"requests":18391,"microseconds":1001858,"refused":735,"broken":2,"mean":3543.7,"p50":3193,"p99":12412}
"""

H2LOAD = """starting benchmark...
spawning thread #0: 16 total client(s). Timing-based test with 0s of warm-up time and 2s of main duration.
Application protocol: h2c
Main benchmark duration is over for thread #0. Stopping all clients.

finished in 2.01s, 2101.00 req/s, 744.71KB/s
requests: 4202 total, 4218 started, 4202 done, 4202 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 4202 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 1.45MB (1525162) total, 13.48KB (13806) headers (space savings 95.94%), 512.94KB (525250) data
                     min         max         mean         sd        +/- sd
time for request:      765us     18.53ms      7.58ms      1.50ms    82.15%
time for connect:       77us       202us       143us        37us    62.50%
time to 1st byte:     9.70ms     18.93ms     14.71ms      2.81ms    62.50%
req/s           :     129.98      132.97      131.29        0.87    68.75%
"""
