# SPDX-License-Identifier: Apache-2.0
variable "digest" {
  type = string
}

module "shop" {
  source  = "./cloud-run/terraform"
  project = "acme"
  region  = "europe-west1"
  image   = "registry.example.com/shop@${var.digest}"
  secrets = { DATABASE_URL = "shop-database-url" }

  enable_pre_deploy_job  = true
  pre_deploy_job_command = ["lockstep"]
  pre_deploy_job_args    = ["migrate"]
}
