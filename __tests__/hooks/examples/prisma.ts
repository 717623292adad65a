import { PrismaClient } from "@prisma/client";
import { onShutdown, tracked } from "lambda-graceful-shutdown/function";

// One connection for an environment: ?connection_limit=1 in DATABASE_URL.
const prisma = new PrismaClient();
onShutdown("prisma", () => prisma.$disconnect());

export const handler = tracked(async () => prisma.$queryRaw`SELECT 1 AS one`);
