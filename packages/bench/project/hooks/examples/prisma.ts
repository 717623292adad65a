import { PrismaClient } from "@prisma/client";
import { onShutdown } from "lambda-graceful-shutdown";

// One connection for an environment: ?connection_limit=1 in DATABASE_URL.
const prisma = new PrismaClient();
onShutdown("prisma", () => prisma.$disconnect());

export const handler = async () => prisma.$queryRaw`SELECT 1 AS one`;
