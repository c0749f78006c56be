# The fleet and its roles by Terraform: the same templates as deploy.sh's, wrapped. Run it with credentials of the management account.
# Not in it, and to be there before or beside it: the image (deploy.sh builds one, or take a release's), the sender's verification in SES,
# the central store's key (kms.yaml), monitoring.yaml. Stack sets need trusted access, once:
# aws cloudformation activate-organizations-access
#
#   terraform init
#   terraform apply -parallelism=1 -var organization_id=o-a1b2c3d4e5 -var admin_email=admin@example.com \
#     -var image=ghcr.io/key-rotation/key-rotation:vX.Y.Z \
#     -var vpc_id=vpc-… -var 'subnet_ids=["subnet-…"]' -var 'organizational_units=["ou-…"]'
#
# One thing at a time (-parallelism=1): a stack set takes one operation at a time, and there is one for each unit. Without it all units
# but the first are refused (OperationInProgressException); another apply goes on from there.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0, < 7.0"
    }
  }
}

variable "organization_id" {
  type        = string
  description = "The organization, as o-a1b2c3d4e5."

  validation {
    condition     = can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "It must be an organization id, as o-a1b2c3d4e5 is."
  }
}

variable "admin_email" {
  type        = string
  description = "Who gets summaries, and alarms unless settings say otherwise."

  validation {
    condition     = can(regex("^[^@,\\s]+@[^@,\\s]+\\.[^@,\\s]+$", var.admin_email))
    error_message = "It must be one mail address."
  }
}

variable "image" {
  type        = string
  description = "The container image, with a tag or a digest that does not move."

  validation {
    condition     = can(regex("^\\S+(:|@sha256:)\\S+$", var.image)) && !endswith(var.image, ":latest")
    error_message = "It must have a tag or a digest that does not move."
  }
}

variable "vpc_id" {
  type        = string
  description = "VPC of the tasks."

  validation {
    condition     = can(regex("^vpc-[0-9a-f]+$", var.vpc_id))
    error_message = "It must be the id of a VPC, as vpc-0a1b2c3d is."
  }
}

variable "subnet_ids" {
  type        = list(string)
  description = "Subnets of the tasks, with a way to AWS's endpoints."

  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for subnet in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", subnet))])
    error_message = "It must be ids of subnets, one at least, as subnet-0a1b2c3d is."
  }
}

variable "organizational_units" {
  type        = list(string)
  description = "Units whose accounts get the member role, and are taken by scheduled runs; the root's id for all."

  validation {
    condition     = length(var.organizational_units) > 0 && alltrue([for unit in var.organizational_units : can(regex("^(ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}|r-[a-z0-9]{4,32})$", unit))])
    error_message = "It must be ids of organizational units, one at least, as ou-a1b2-c3d4e5f6 is, or the root, as r-a1b2 is."
  }
}

variable "enforce" {
  type        = bool
  description = "Whether keys are rotated. Otherwise the fleet only tells what it would do."
  default     = false
}

variable "fleet_settings" {
  type        = map(string)
  description = "Any other parameter of fleet.yaml, as {RotationPeriod = \"80\"}. What the roles' stacks must have alike they get, too."
  default     = {}

  validation {
    condition     = alltrue([for name in ["AWSOrgID", "AdminEmailAddress", "ImageUri", "SubnetIds", "VpcId"] : !contains(keys(var.fleet_settings), name)])
    error_message = "AWSOrgID, AdminEmailAddress, ImageUri, SubnetIds and VpcId have variables of their own."
  }

  validation {
    condition     = !contains(keys(var.fleet_settings), "DryRunFlag")
    error_message = "Instead of DryRunFlag, set enforce, to true or false."
  }
}

variable "member_settings" {
  type        = map(string)
  description = "Any other parameter of member-role.yaml alone, as {CreateExemptionGroup = \"No\"}."
  default     = {}
}

data "aws_caller_identity" "here" {}

data "aws_region" "here" {}

locals {
  templates = "${path.module}/.."
  # Both sides of every trust; the same for the fleet and the roles it assumes.
  shared = {
    AWSOrgID   = var.organization_id
    ExternalId = "key-rotation-${var.organization_id}"
  }
  # Parameters that the roles' templates have in common with the fleet's.
  alike_in_members = [
    "BreakGlassPrincipalArns", "BreakGlassRoleName", "CentralSecretReadPolicyName", "ExternalId", "IAMExemptionGroup", "IAMRoleName",
    "OperatorRoleArns", "ProducerRoleName", "ReadRoleName", "SecretKmsKeyArn", "StoreSecretsInCentralAccount", "WorkerRoleName",
  ]
  alike_in_list_role = ["ExternalId", "OperatorRoleArns", "OrgListRole", "ProducerRoleName"]

  fleet_account = { FleetAccount = data.aws_caller_identity.here.account_id }
  for_members   = { for name, value in var.fleet_settings : name => value if contains(local.alike_in_members, name) }
  for_list_role = { for name, value in var.fleet_settings : name => value if contains(local.alike_in_list_role, name) }

  member = merge(local.shared, local.fleet_account, local.for_members, var.member_settings)
}

resource "aws_cloudformation_stack" "fleet" {
  name          = "iam-key-rotation-fleet"
  template_body = file("${local.templates}/fleet.yaml")
  capabilities  = ["CAPABILITY_NAMED_IAM"]
  parameters = merge(local.shared, {
    AdminEmailAddress = var.admin_email
    DryRunFlag        = var.enforce ? "False" : "True"
    ImageUri          = var.image
    OrgListAccount    = data.aws_caller_identity.here.account_id
    # An account without the role would be a dead letter of every run.
    RunIn     = anytrue([for unit in var.organizational_units : startswith(unit, "r-")]) ? "" : join(",", var.organizational_units)
    SubnetIds = join(",", var.subnet_ids)
    VpcId     = var.vpc_id
  }, var.fleet_settings)

  # Roles first: workers of a new version may need rights that the roles of the version before do not have.
  depends_on = [
    aws_cloudformation_stack.list_role,
    aws_cloudformation_stack.member_role_here,
    aws_cloudformation_stack_set_instance.member_role,
  ]
}

resource "aws_cloudformation_stack" "list_role" {
  name          = "iam-key-rotation-list-role"
  template_body = file("${local.templates}/org-list-role.yaml")
  capabilities  = ["CAPABILITY_NAMED_IAM"]
  parameters    = merge(local.shared, local.fleet_account, local.for_list_role)
}

# Stack sets do not deploy to the management account.
resource "aws_cloudformation_stack" "member_role_here" {
  name          = "iam-key-rotation-member-role"
  template_body = file("${local.templates}/member-role.yaml")
  capabilities  = ["CAPABILITY_NAMED_IAM"]
  parameters    = local.member
}

resource "aws_cloudformation_stack_set" "member_role" {
  name             = "iam-key-rotation-member-role"
  description      = "IAM access key rotation: roles in every account"
  template_body    = file("${local.templates}/member-role.yaml")
  capabilities     = ["CAPABILITY_NAMED_IAM"]
  permission_model = "SERVICE_MANAGED"
  parameters       = local.member

  auto_deployment {
    enabled                          = true
    retain_stacks_on_account_removal = false
  }

  operation_preferences {
    failure_tolerance_count   = 1
    max_concurrent_percentage = 25
  }

  timeouts {
    update = "6h"
  }

  lifecycle {
    # AWS fills it in, and it means nothing with service-managed permissions.
    ignore_changes = [administration_role_arn]
  }
}

# One for each unit: the provider cannot change the targets of one. With all units in it, another unit would have the roles of all the others
# removed and made anew.
resource "aws_cloudformation_stack_set_instance" "member_role" {
  for_each = toset(var.organizational_units)

  stack_set_name = aws_cloudformation_stack_set.member_role.name
  # Roles are global: one region does.
  region = data.aws_region.here.name

  deployment_targets {
    organizational_unit_ids = [each.value]
  }

  # Without these: one account at a time, none may fail, and the provider gives up after half an hour.
  operation_preferences {
    failure_tolerance_percentage = 50
    max_concurrent_percentage    = 25
  }

  timeouts {
    create = "6h"
    update = "6h"
    delete = "6h"
  }
}

output "queue_url" {
  value = aws_cloudformation_stack.fleet.outputs["QueueUrl"]
}
