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
