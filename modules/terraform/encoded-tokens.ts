import { Token, Tokenization } from "cdktf";

const LISTS = [
  ...["subnetIds", "securityGroupIds", "replacementSecurityGroupIds", "layers"],
  ...["availabilityZones", "endpoints", "logExports"],
];
const MAPS = ["environment", "tags"];
const NUMBERS = [
  ...["memorySize", "timeout", "ephemeralStorage", "reservedConcurrency", "provisionedConcurrency", "retentionDays"],
  ...["port", "connectionLimit", "maxConnections", "allocatedStorage", "maxAllocatedStorage", "waitTimeout"],
  ...["monitoringInterval", "backupRetentionDays", "flowLogDays"],
];

/**
 * Settings in which each token has the type of its setting. `variable.value` of a TerraformVariable is an object of type
 * `any`, so the compiler accepts it everywhere. CDKTF's own resources do too.
 */
export function encodedTokens<Settings extends object>(settings: Settings): Settings {
  const entries = Object.entries(settings).map(([name, value]) => [name, encoded(name, value)]);
  return Object.fromEntries(entries) as Settings;
}

function encoded(name: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Tokenization.isResolvable(value)) {
    if (LISTS.includes(name)) return Token.asList(value);
    if (MAPS.includes(name)) return Token.asStringMap(value);
    return NUMBERS.includes(name) ? Token.asNumber(value) : Token.asString(value);
  }
  if (Array.isArray(value)) return value;
  return Object.getPrototypeOf(value) === Object.prototype ? encodedTokens(value) : value;
}
