/** The servers that a library talks to. */
export type DatabaseKind = "MySQL" | "PostgreSQL" | "Redis" | "MongoDB" | "SQL Server";

/** A library of npm that holds connections, and how its own documentation closes them. */
export interface LibraryDescription {
  readonly name: string;
  readonly packages: readonly string[];
  /** @default - the server depends on its configuration */
  readonly kind?: DatabaseKind;
  /**
   * An ORM or a query builder ends the driver below it. Drizzle does not, so its driver's variable goes first.
   * @default "driver"
   */
  readonly role?: "wraps a driver" | "leaves the driver";
  /** What makes the object that holds the connections: the name before "(". @default - the module itself holds them */
  readonly made?: RegExp;
  /** The variable that the documentation uses. */
  readonly variable: string;
  readonly close: (variable: string) => string;
  /** What else a clean close needs in this code. @default nothing */
  readonly note?: (code: string) => string | undefined;
}

const end = (it: string): string => `${it}.end()`;
const close = (it: string): string => `${it}.close()`;
const destroy = (it: string): string => `${it}.destroy()`;
const quit = (it: string): string => `${it}.quit()`;

/** What wraps another library stands before it. */
export const LIBRARIES: readonly LibraryDescription[] = [
  {
    ...{ name: "knex", packages: ["knex"], role: "wraps a driver", variable: "knex", close: destroy },
    made: /(?:knex|Knex|import_knex\w*\.default|require\(["']knex["']\))/,
  },
  {
    ...{ name: "Sequelize", packages: ["sequelize", "@sequelize/core"], role: "wraps a driver" },
    ...{ made: /Sequelize/, variable: "sequelize", close },
  },
  {
    ...{ name: "TypeORM", packages: ["typeorm"], role: "wraps a driver" },
    ...{ made: /DataSource/, variable: "dataSource", close: destroy },
  },
  {
    ...{ name: "Prisma", packages: ["@prisma/client", ".prisma/client", "prisma"], role: "wraps a driver" },
    ...{ made: /PrismaClient/, variable: "prisma", close: (it) => `${it}.$disconnect()` },
  },
  {
    ...{ name: "Kysely", packages: ["kysely"], role: "wraps a driver" },
    ...{ made: /Kysely/, variable: "db", close: destroy },
  },
  {
    name: "MikroORM",
    packages: ["core", "mysql", "mariadb", "postgresql", "mssql", "mongodb"].map((each) => `@mikro-orm/${each}`),
    role: "wraps a driver",
    ...{ made: /MikroORM(?:\.init(?:Sync)?)?/, variable: "orm", close },
  },
  {
    ...{ name: "Slonik", packages: ["slonik"], kind: "PostgreSQL", role: "wraps a driver" },
    ...{ made: /createPool/, variable: "pool", close: end },
  },
  {
    ...{ name: "mongoose", packages: ["mongoose"], kind: "MongoDB", role: "wraps a driver" },
    ...{ variable: "mongoose", close: (it) => `${it}.disconnect()` },
  },
  {
    ...{ name: "serverless-mysql", packages: ["serverless-mysql"], kind: "MySQL", variable: "mysql", close: quit },
    made: /(?:serverlessMysql|require\(["']serverless-mysql["']\))/i,
  },
  {
    ...{ name: "mysql2", packages: ["mysql2"], kind: "MySQL", variable: "pool", close: end },
    made: /(?:createPoolCluster|createPool|createConnection)/,
  },
  {
    ...{ name: "mariadb", packages: ["mariadb"], kind: "MySQL", variable: "pool", close: end },
    made: /(?:createPoolCluster|createPool|createConnection)/,
    // Its pool opens connections up to connectionLimit by itself, and end() does not wait for one that is half open.
    note: (code) =>
      code.includes("createPool(") && !code.includes("minimumIdle")
        ? "give its pool minimumIdle: 1, because end() leaves a connection that the pool is opening by itself"
        : undefined,
  },
  {
    ...{ name: "mysql", packages: ["mysql"], kind: "MySQL", variable: "pool" },
    made: /(?:createPool|createConnection)/,
    close: (it) => `new Promise((done) => ${it}.end(done))`,
  },
  { name: "pg", packages: ["pg"], kind: "PostgreSQL", made: /(?:Pool|Client)/, variable: "pool", close: end },
  {
    ...{ name: "postgres", packages: ["postgres"], kind: "PostgreSQL", variable: "sql", close: end },
    made: /(?:postgres|import_postgres\w*\.default|require\(["']postgres["']\))/,
  },
  {
    ...{ name: "ioredis", packages: ["ioredis"], kind: "Redis", variable: "redis", close: quit },
    made: /(?:Redis|Cluster|import_ioredis\w*\.default)/,
  },
  {
    ...{ name: "redis", packages: ["redis", "@redis/client"], kind: "Redis", variable: "client", close },
    made: /(?:createClient|createClientPool|createCluster)/,
  },
  { name: "mongodb", packages: ["mongodb"], kind: "MongoDB", made: /MongoClient/, variable: "client", close },
  {
    ...{ name: "mssql", packages: ["mssql"], kind: "SQL Server", variable: "pool", close },
    made: /(?:ConnectionPool|sql\.connect|mssql\.connect)/,
  },
  {
    ...{ name: "Drizzle", packages: ["drizzle-orm"], role: "leaves the driver" },
    ...{ made: /drizzle/, variable: "db", close: (it) => `${it}.$client.end()` },
  },
];
