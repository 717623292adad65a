#!/bin/sh
# Usage: sh attach.sh FUNCTION. Needs the AWS CLI, and keeps the layers and variables that the function has.
set -eu
function=$1
layer=$(aws lambda publish-layer-version --layer-name graceful-shutdown \
  --zip-file fileb://node_modules/lambda-graceful-shutdown/layer.zip \
  --compatible-runtimes nodejs22.x nodejs24.x --query LayerVersionArn --output text)
layers=$(aws lambda get-function-configuration --function-name "$function" --query "Layers[].Arn" --output text)
variables=$(aws lambda get-function-configuration --function-name "$function" --query "Environment.Variables || \`{}\`" --output json |
  node -e 'const variables = JSON.parse(require("fs").readFileSync(0, "utf8"));
    console.log(JSON.stringify({ Variables: { ...variables, AWS_LAMBDA_EXEC_WRAPPER: "/opt/graceful-shutdown" } }))')
[ "$layers" = None ] && layers=
# shellcheck disable=SC2086 # Each ARN is a word of its own.
aws lambda update-function-configuration --function-name "$function" --layers $layers "$layer" --environment "$variables" \
  --query "[FunctionName, Layers[].Arn]" --output json
