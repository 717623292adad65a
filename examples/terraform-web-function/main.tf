terraform {
  required_providers {
    awscc = {
      source  = "hashicorp/awscc"
      version = ">= 1.105.0"
    }
  }
}

variable "role_arn" {
  type = string
}

variable "code" {
  type = object({ bucket = string, key = string })
}

resource "awscc_lambda_web_function" "orders" {
  function_name = "orders"
}

resource "awscc_lambda_web_function_revision" "orders" {
  function_name = awscc_lambda_web_function.orders.function_name
  build_config = {
    code_config    = { s3_object = var.code }
    runtime_config = { runtime = "nodejs24.x" }
  }
  service_config = {
    execution_role_arn              = var.role_arn
    max_concurrency_per_environment = 64
    # A Web Function has no layers. The preload is a package in the archive, or one import at the top of its first file.
    environment_variables = { NODE_OPTIONS = "--import=lambda-graceful-shutdown/attach" }
  }
}

resource "awscc_lambda_web_function_endpoint" "orders" {
  function_name = awscc_lambda_web_function.orders.function_name
  endpoint_name = "default"
  endpoint_type = "HomeRegion"
  auth_type     = "IamAuth"
  # Times the pool's connectionLimit, this is the most that the database can see.
  scaling_config   = { max_environments = 10 }
  revision_weights = [{ revision_id = awscc_lambda_web_function_revision.orders.revision_id, weight = 100 }]
}
