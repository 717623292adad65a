import { SecretsManager } from "@aws-sdk/client-secrets-manager";
import { ownRegion, rdsRegion, secretsManagerEndpoint } from "./aws-endpoint.ts";

/** Where AWS's SDK would send the request. */
async function sdkHost(region: string, useFipsEndpoint: boolean, useDualstackEndpoint: boolean): Promise<string> {
  let host = "";
  const client = new SecretsManager({
    region,
    useFipsEndpoint,
    useDualstackEndpoint,
    credentials: { accessKeyId: "x", secretAccessKey: "x" },
    requestHandler: {
      handle: (request: { readonly hostname: string }) => {
        host = request.hostname;
        return Promise.reject(new Error("not sent"));
      },
    },
  });
  await client.getSecretValue({ SecretId: "x" }).catch(() => undefined);
  return host;
}

const REGIONS = [
  ...["us-east-1", "eu-central-2", "ap-southeast-7", "mx-central-1", "il-central-1", "cn-north-1", "us-gov-west-1"],
  ...["us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1", "eusc-de-east-1"],
];

describe.each(REGIONS)("%s", (region) => {
  const dualStackToo = [true, false].filter((on) => !on || /^(us-east|eu-central|us-gov)-/.test(region));
  test.each([true, false].flatMap((fips) => dualStackToo.map((dualStack) => [fips, dualStack] as const)))(
    "the endpoint is the SDK's (FIPS %s, dual stack %s)",
    async (fips, dualStack) => {
      const url = secretsManagerEndpoint(region, {
        AWS_USE_FIPS_ENDPOINT: String(fips),
        AWS_USE_DUALSTACK_ENDPOINT: String(dualStack),
      });
      expect(url.protocol).toBe("https:");
      expect(url.host).toBe(await sdkHost(region, fips, dualStack));
    },
  );
});

test("a configured endpoint wins, the service's before the general one, unless they are ignored", () => {
  const general = { AWS_ENDPOINT_URL: "http://127.0.0.1:4566" };
  const both = { ...general, AWS_ENDPOINT_URL_SECRETS_MANAGER: "https://vpce.example/path" };
  expect(secretsManagerEndpoint("eu-west-1", general).origin).toBe("http://127.0.0.1:4566");
  expect(secretsManagerEndpoint("eu-west-1", both).href).toBe("https://vpce.example/path");
  expect(secretsManagerEndpoint("eu-west-1", { ...both, AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "true" }).host).toBe(
    "secretsmanager.eu-west-1.amazonaws.com",
  );
  expect(secretsManagerEndpoint("eu-west-1", { AWS_ENDPOINT_URL: "" }).protocol).toBe("https:");
});

test.each(["127.0.0.1:4566", "ftp://x", "https://user:p4ssw0rd@x", "nonsense"])("no endpoint: %s", (value) => {
  const message = "AWS_ENDPOINT_URL is not a URL of the form https://host or http://host:port (environment)";
  expect(() => secretsManagerEndpoint("eu-west-1", { AWS_ENDPOINT_URL: value })).toThrow(new Error(message));
});

test("the region: AWS_REGION, then AWS_DEFAULT_REGION, then an error", () => {
  expect(ownRegion({ AWS_REGION: "a", AWS_DEFAULT_REGION: "b" })).toBe("a");
  expect(ownRegion({ AWS_REGION: "", AWS_DEFAULT_REGION: "b" })).toBe("b");
  expect(() => ownRegion({})).toThrow("AWS_REGION is not set");
});

test.each([
  ["shop.abc123.eu-west-1.rds.amazonaws.com", "eu-west-1"],
  ["shop.cluster-ro-abc123.us-gov-west-1.rds.amazonaws.com", "us-gov-west-1"],
  ["shop.proxy-abc123.ap-southeast-1.rds.amazonaws.com", "ap-southeast-1"],
  ["shop.abc123.rds.cn-north-1.amazonaws.com.cn", "cn-north-1"],
  ["shop.abc123.cn-north-1.rds.amazonaws.com.cn", "cn-north-1"],
  ["eu-west-1.rds.example.com", undefined],
  ["shop.eu-west-1.example.com", undefined],
  ["10.0.0.5", undefined],
])("the region of %s is %s", (host, region) => {
  expect(rdsRegion(host)).toBe(region);
});
