#!/bin/bash
# What fake-insights-extension.mjs does, in 0.5 MB of memory and 2 ms of CPU instead of 7 MB and 40 ms: in a storm there is one
# beside each runtime. It asks for SHUTDOWN alone, so the first answer to its question is that, and it leaves.
api=/dev/tcp/${AWS_LAMBDA_RUNTIME_API/://}
exec 3<>"$api"
printf 'POST /2020-01-01/extension/register HTTP/1.1\r\nHost: lab\r\nLambda-Extension-Name: fake-insights-extension\r\nContent-Length: 23\r\n\r\n{"events":["SHUTDOWN"]}' >&3
while read -r name value <&3 && [[ $name != $'\r' ]]; do
  [[ $name = Lambda-Extension-Identifier: ]] && identifier=${value%$'\r'}
done
exec 3<>"$api"
printf 'GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: lab\r\nLambda-Extension-Identifier: %s\r\n\r\n' "$identifier" >&3
read -r _ <&3
