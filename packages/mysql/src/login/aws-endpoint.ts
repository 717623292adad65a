import { CredentialsError } from "./aws-error.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Regions of a partition, and its DNS suffix. */
const PARTITIONS: readonly (readonly [RegExp, string])[] = [
  [/^cn-/, "amazonaws.com.cn"],
  [/^us-iso-/, "c2s.ic.gov"],
  [/^us-isob-/, "sc2s.sgov.gov"],
  [/^eu-isoe-/, "cloud.adc-e.uk"],
  [/^us-isof-/, "csp.hci.ic.gov"],
  [/^eusc-/, "amazonaws.eu"],
  [/^/, "amazonaws.com"],
];

/** @throws CredentialsError if the environment names no region, which Lambda's always does */
export function ownRegion(env: Environment = process.env): string {
  const region = env["AWS_REGION"] || env["AWS_DEFAULT_REGION"];
  if (!region) throw new CredentialsError("AWS_REGION is not set, expected the function's region (environment)");
  return region;
}

/** Region of an RDS endpoint, which China writes the other way round; undefined for any other name. */
export function rdsRegion(host: string): string | undefined {
  const [, region, inChina] =
    /\.(?:([a-z]+(?:-[a-z]+)+-\d+)\.rds|rds\.(cn-[a-z]+-\d+))\.amazonaws\.[a-z.]+$/.exec(host.toLowerCase()) ?? [];
  return region ?? inChina;
}

/**
 * Where Secrets Manager answers: AWS_ENDPOINT_URL_SECRETS_MANAGER, AWS_ENDPOINT_URL, or the region's own endpoint,
 * with AWS_USE_FIPS_ENDPOINT the one for FIPS. AWS_USE_DUALSTACK_ENDPOINT makes no difference: the same names have IPv6
 * addresses. https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
 *
 * @throws CredentialsError if a variable holds no URL
 */
export function secretsManagerEndpoint(region: string, env: Environment = process.env): URL {
  const isOn = (name: string): boolean => env[name]?.toLowerCase() === "true";
  if (!isOn("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) {
    for (const name of ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"]) {
      const value = env[name];
      if (value) return endpointUrl(name, value);
    }
  }
  const [, suffix] = PARTITIONS.find(([regions]) => regions.test(region)) ?? ["", ""];
  return new URL(`https://secretsmanager${isOn("AWS_USE_FIPS_ENDPOINT") ? "-fips" : ""}.${region}.${suffix}`);
}

function endpointUrl(name: string, value: string): URL {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url && ["http:", "https:"].includes(url.protocol) && url.username === "" && url.password === "") return url;
  // The value is not shown: a URL can hold a password.
  throw new CredentialsError(`${name} is not a URL of the form https://host or http://host:port (environment)`);
}
