variable "name" {
  type    = string
  default = "@APP@"
}

variable "project" {
  type = string
}

variable "region" {
  type = string
}

variable "image" {
  type        = string
  description = "By digest: a tag that was moved is no change, and the job would not run."
  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Name the image by digest: IMAGE@sha256:..."
  }
}

variable "port" {
  type    = number
  default = @PORT@
}

variable "service_account" {
  type    = string
  default = null
}

variable "environment" {
  type    = map(string)
  default = {}
}

variable "secrets" {
  type        = map(string)
  description = "Variables by the Secret Manager secrets that hold them: { DATABASE_URL = \"...\" }."
  default     = {}
}

variable "cloud_sql_instances" {
  type    = list(string)
  default = []
}

variable "deletion_protection" {
  type        = bool
  description = "Of the service: to be applied as false before it can be destroyed."
  default     = true
}

variable "enable_pre_deploy_job" {
  type    = bool
  default = true
}

variable "pre_deploy_job_command" {
  type    = list(string)
  default = ["lockstep"]
}

variable "pre_deploy_job_args" {
  type    = list(string)
  default = ["migrate"]
}

variable "pre_deploy_job_timeout" {
  type        = string
  description = "Longer than the lock may take to get (10 minutes) and the migration."
  default     = "3600s"
}
