import { isKnown, problem } from "./settings-error";

/** Where a resource is, in the words of an ARN. The partition is not always `aws`: there are China and GovCloud. */
export interface Place {
  readonly partition: string;
  readonly region: string;
  readonly account: string;
}

/** The ARN of a resource in that place. */
export function arn({ partition, region, account }: Place, service: string, resource: string): string {
  return `arn:${partition}:${service}:${region}:${account}:${resource}`;
}

/** Patterns for the placeholders of a form. Any other placeholder is a name without a colon. */
const PARTS: Readonly<Record<string, string>> = {
  partition: "aws[a-z-]*",
  region: "[a-z0-9-]+",
  account: "\\d{12}",
  number: "\\d+",
};

/**
 * What is wrong with the shape of an ARN. Empty if there is no ARN, or if only Terraform knows it.
 *
 * @param forms for example `arn:<partition>:sqs:<region>:<account>:<queue>`; one of them has to fit
 */
export function arnProblems(setting: string, value: string | undefined, ...forms: readonly string[]): string[] {
  if (value === undefined || !isKnown(value) || forms.some((form) => hasForm(value, form))) return [];
  return [problem(setting, value, `is not of the form ${forms.join(" or ")}`)];
}

function hasForm(value: string, form: string): boolean {
  const pattern = form.replaceAll(/<([\w-]+)>/g, (_, name: string) => PARTS[name] ?? "[^:\\s]+");
  return new RegExp(`^${pattern}$`).test(value);
}

/** The forms of the ARNs that more than one setting takes. */
export const KMS_KEY = "arn:<partition>:kms:<region>:<account>:key/<id>";
