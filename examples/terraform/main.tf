terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0"
    }
  }
}

variable "role_arn" {
  type        = string
  description = "ARN of the function's execution role"
}

resource "aws_lambda_layer_version" "graceful_shutdown" {
  layer_name               = "graceful-shutdown"
  filename                 = "${path.module}/node_modules/lambda-graceful-shutdown/layer.zip"
  source_code_hash         = filebase64sha256("${path.module}/node_modules/lambda-graceful-shutdown/layer.zip")
  compatible_runtimes      = ["nodejs22.x"]
  compatible_architectures = ["arm64", "x86_64"]
}

# Your function, as it is, with layers and one variable.
resource "aws_lambda_function" "orders" {
  function_name = "orders"
  role          = var.role_arn
  runtime       = "nodejs22.x"
  handler       = "index.handler"
  filename      = "${path.module}/orders.zip"
  layers        = [aws_lambda_layer_version.graceful_shutdown.arn]

  environment {
    variables = {
      AWS_LAMBDA_EXEC_WRAPPER = "/opt/graceful-shutdown"
    }
  }
}
