/** Stands in for @prisma/client: the calls that docs/hooks.md makes. */
import { say } from "./say";

export class PrismaClient {
  async $queryRaw(sql: TemplateStringsArray): Promise<readonly object[]> {
    await say(`prisma ${sql.join("?")}`);
    return [{ one: 1 }];
  }

  async $disconnect(): Promise<void> {
    await say("prisma disconnect");
  }
}
