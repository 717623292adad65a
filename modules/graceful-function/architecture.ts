/** What a function's processor may be: https://docs.aws.amazon.com/lambda/latest/dg/foundation-arch.html */
export const ARCHITECTURES = ["arm64", "x86_64"] as const;
export type Architecture = (typeof ARCHITECTURES)[number];
