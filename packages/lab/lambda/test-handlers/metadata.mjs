import { getMetadata } from "@aws-lambda-powertools/commons/utils/metadata";

const metadata = await getMetadata();

export const handler = () => Promise.resolve(metadata);
