import { FlowLog } from "@cdktf/provider-aws/lib/flow-log";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
import type { TerraformStack } from "cdktf";
import type { MysqlDatabase } from "../../mysql-database/mysql-database";

export function scannedDatabase(stack: TerraformStack, mysql: MysqlDatabase): void {
  mysql.resource.multiAz = true;
  mysql.resource.enabledCloudwatchLogsExports = ["error"];
  new FlowLog(stack, "flow-log", {
    vpcId: mysql.vpcId,
    trafficType: "ALL",
    logDestinationType: "s3",
    logDestination: "arn:aws:s3:::my-flow-logs",
  });
  const trust = { Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "monitoring.rds.amazonaws.com" } };
  const role = new IamRole(stack, "monitoring", {
    name: "orders-monitoring",
    assumeRolePolicy: JSON.stringify({ Version: "2012-10-17", Statement: [trust] }),
  });
  new IamRolePolicyAttachment(stack, "monitoring-policy", {
    role: role.name,
    policyArn: "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
  });
  mysql.resource.monitoringRoleArn = role.arn;
  mysql.resource.monitoringInterval = 60;
}
