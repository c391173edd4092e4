# A Cloud Run service whose migrations run as a job before it: on every change of the image, of the
# job's command and of what it is given, and before the service sees the new image. When the job fails,
# the apply stops there, the service stays as it is, and the next apply runs the job again.
#
# Terraform makes jobs but does not run them: gcloud has to be there, and logged in.

terraform {
  required_version = ">= 1.4"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0"
    }
  }
}

locals {
  environment = [for name, value in var.environment : { name = name, value = value }]
  secrets     = [for name, secret in var.secrets : { name = name, secret = secret }]
}

resource "google_cloud_run_v2_job" "pre_deploy" {
  count    = var.enable_pre_deploy_job ? 1 : 0
  name     = "${var.name}-pre-deploy"
  project  = var.project
  location = var.region
  # It holds nothing. By default it could not be deleted, nor enable_pre_deploy_job taken back.
  deletion_protection = false

  template {
    task_count  = 1
    parallelism = 1
    template {
      # Three by default: a failing migration would run four times.
      max_retries     = 0
      timeout         = var.pre_deploy_job_timeout
      service_account = var.service_account
      containers {
        image   = var.image
        command = var.pre_deploy_job_command
        args    = var.pre_deploy_job_args
        dynamic "env" {
          for_each = local.environment
          content {
            name  = env.value.name
            value = env.value.value
          }
        }
        dynamic "env" {
          for_each = local.secrets
          content {
            name = env.value.name
            value_source {
              secret_key_ref {
                secret  = env.value.secret
                version = "latest"
              }
            }
          }
        }
        dynamic "volume_mounts" {
          for_each = length(var.cloud_sql_instances) > 0 ? [1] : []
          content {
            name       = "cloudsql"
            mount_path = "/cloudsql"
          }
        }
      }
      dynamic "volumes" {
        for_each = length(var.cloud_sql_instances) > 0 ? [1] : []
        content {
          name = "cloudsql"
          cloud_sql_instance {
            instances = var.cloud_sql_instances
          }
        }
      }
    }
  }
}

# Replaced, and so run, whenever one of these changes; tainted, and so run again, when it fails.
resource "terraform_data" "pre_deploy" {
  count = var.enable_pre_deploy_job ? 1 : 0
  triggers_replace = [
    var.image,
    var.pre_deploy_job_command,
    var.pre_deploy_job_args,
    var.environment,
    var.secrets,
    var.cloud_sql_instances,
  ]

  provisioner "local-exec" {
    command = "gcloud run jobs execute \"$JOB\" --project \"$PROJECT\" --region \"$REGION\" --wait --quiet"
    environment = {
      JOB     = google_cloud_run_v2_job.pre_deploy[0].name
      PROJECT = var.project
      REGION  = var.region
    }
  }

  depends_on = [google_cloud_run_v2_job.pre_deploy]
}

resource "google_cloud_run_v2_service" "service" {
  name                = var.name
  project             = var.project
  location            = var.region
  deletion_protection = var.deletion_protection

  template {
    service_account = var.service_account
    containers {
      image = var.image
      ports {
        container_port = var.port
      }
      dynamic "env" {
        for_each = local.environment
        content {
          name  = env.value.name
          value = env.value.value
        }
      }
      dynamic "env" {
        for_each = local.secrets
        content {
          name = env.value.name
          value_source {
            secret_key_ref {
              secret  = env.value.secret
              version = "latest"
            }
          }
        }
      }
      dynamic "volume_mounts" {
        for_each = length(var.cloud_sql_instances) > 0 ? [1] : []
        content {
          name       = "cloudsql"
          mount_path = "/cloudsql"
        }
      }
    }
    dynamic "volumes" {
      for_each = length(var.cloud_sql_instances) > 0 ? [1] : []
      content {
        name = "cloudsql"
        cloud_sql_instance {
          instances = var.cloud_sql_instances
        }
      }
    }
  }

  depends_on = [terraform_data.pre_deploy]
}

output "uri" {
  value = google_cloud_run_v2_service.service.uri
}
