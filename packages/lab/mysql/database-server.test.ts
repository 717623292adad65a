import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import mysql, { type RowDataPacket } from "mysql2/promise";
import { startDatabaseServer } from "./database-server";
import type { DatabaseServer } from "./server";
import { until } from "./until";

const MODULE = path.join(__dirname, "database-server.ts");

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function connect({ host, port, user, password, database }: DatabaseServer): Promise<mysql.Connection> {
  const client = await mysql.createConnection({ host, port, user, password, database });
  client.on("error", () => undefined);
  return client;
}

async function dataDirectory(server: DatabaseServer): Promise<string> {
  const client = await connect(server);
  const [rows] = await client.query<RowDataPacket[]>("SELECT @@datadir AS directory");
  await client.end();
  return String(rows[0]?.["directory"]);
}

describe("MariaDB on a throwaway directory", () => {
  let server: DatabaseServer;

  beforeEach(async () => {
    server = await startDatabaseServer({ kind: "mariadbd" });
  });
  afterEach(() => server.stop());

  test("it says which server it is, and where it comes from", () => {
    expect(server.description).toMatch(/^MariaDB \d+\.\d+\.\d+ \(\/.*, throwaway data directory\)$/);
    expect(isRunning(server.pid ?? 0)).toBe(true);
  });

  test("the function may do everything in its own database, end its own threads, and nothing else", async () => {
    const client = await connect(server);
    await client.query("CREATE TABLE orders (id INT PRIMARY KEY) ENGINE=InnoDB");
    await client.query("INSERT INTO orders VALUES (1)");
    const other = await connect(server);
    await client.query("KILL ?", [other.threadId]);
    await expect(client.query("SELECT * FROM mysql.global_priv")).rejects.toThrow("denied");
    await expect(client.query("CREATE DATABASE other")).rejects.toThrow("denied");
    await client.end();
  });

  test("no log-in works without a password", async () => {
    const { host, port } = server;
    for (const user of ["root", "lab", "observer", ""]) {
      await expect(mysql.createConnection({ host, port, user })).rejects.toThrow("Access denied");
    }
  });

  test("no command line shows a secret", () => {
    expect(execFileSync("ps", ["-A", "-o", "args="], { encoding: "utf8" })).not.toContain(server.password);
  });

  test("held threads and aborted clients count the function's, not the lab's", async () => {
    expect(await server.abortedClients()).toBe(0);
    const [clean, aborted, held] = [await connect(server), await connect(server), await connect(server)];
    const ids = [clean.threadId, aborted.threadId, held.threadId];
    expect(await server.heldThreads(ids)).toEqual(new Set(ids));
    await clean.end();
    aborted.destroy();
    await until(async () => (await server.heldThreads(ids)).size === 1);
    expect(await server.heldThreads(ids)).toEqual(new Set([held.threadId]));
    expect(await server.abortedClients()).toBe(1);
    await held.end();
  });

  test.each([0, "SIGSTOP", "SIGKILL"])(
    "stop() leaves neither the process, whatever signal it got (%s), nor its directory",
    async (signal) => {
      const directory = await dataDirectory(server);
      expect(fs.existsSync(directory)).toBe(true);
      process.kill(server.pid ?? 0, signal);
      await server.stop();
      await server.stop();
      expect(isRunning(server.pid ?? 0)).toBe(false);
      expect(fs.existsSync(path.dirname(directory))).toBe(false);
    },
  );
});

test("if another program takes the port meanwhile, the server gets another", async () => {
  const intruder = net.createServer().listen(0, "127.0.0.1");
  await once(intruder, "listening");
  const { port } = intruder.address() as net.AddressInfo;
  const seemsFree = Object.assign(new net.Server(), {
    listen: () => (process.nextTick(() => seemsFree.emit("listening")), seemsFree),
    address: () => ({ port }),
    close: () => (process.nextTick(() => seemsFree.emit("close")), seemsFree),
  });
  const createServer = jest.spyOn(net, "createServer").mockReturnValueOnce(seemsFree);
  try {
    const server = await startDatabaseServer({ kind: "mariadbd" });
    expect(server.port).not.toBe(port);
    expect(createServer).toHaveBeenCalledTimes(2);
    await server.stop();
  } finally {
    createServer.mockRestore();
    intruder.close();
  }
});

describe("when the lab is killed", () => {
  let temporary: string;

  beforeEach(() => {
    temporary = fs.mkdtempSync(path.join(os.tmpdir(), "t-"));
  });
  afterEach(() => {
    fs.rmSync(temporary, { recursive: true });
  });

  const left = (): readonly string[] => [
    ...execFileSync("ps", ["-A", "-o", "args="], { encoding: "utf8" })
      .split("\n")
      .filter((line) => line.includes(temporary)),
    ...fs.readdirSync(temporary).filter((name) => name.startsWith("lab-")),
  ];

  async function killLab(when: "ready" | number): Promise<void> {
    const script = `
      const { startDatabaseServer } = require(${JSON.stringify(MODULE)});
      console.log("starting");
      startDatabaseServer({ kind: "mariadbd" }).then(() => console.log("ready"));`;
    const lab = spawn(process.execPath, ["--import", "tsx", "-e", script], {
      cwd: path.dirname(MODULE),
      env: { ...process.env, TMPDIR: temporary },
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(lab.stdout, "data");
    if (when === "ready") await once(lab.stdout, "data");
    else await sleep(when);
    lab.kill("SIGKILL");
    await once(lab, "exit");
  }

  test.each(["ready", 50, 150, 250, 350, 450] as const)(
    "with SIGKILL, the server and its directory also go: %s (ms into the start)",
    async (when) => {
      await killLab(when);
      await until(() => left().length === 0);
    },
  );
});

describe("a server program that does not start", () => {
  const searchPath = process.env["PATH"];
  let directory: string;

  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), "t-"));
    process.env["PATH"] = `${directory}${path.delimiter}${searchPath ?? ""}`;
    fs.writeFileSync(path.join(directory, "mysql_system_tables.sql"), "");
  });
  afterEach(() => {
    process.env["PATH"] = searchPath;
    fs.rmSync(directory, { recursive: true });
    jest.restoreAllMocks();
  });

  function install(name: string, version: string): void {
    const script = `#!/bin/sh
      case "$*" in
        *--version) echo "${name} Ver ${version}" ;;
        *--help) echo "character-sets-dir  ${directory}/charsets/" ;;
        *) echo "disk is full, said after $*" >&2; exit 1 ;;
      esac`;
    fs.writeFileSync(path.join(directory, name), script, { mode: 0o755 });
  }

  test("is an error with the end of its log if it was requested", async () => {
    install("mariadbd", "10.11.19-MariaDB");
    const message = /mariadbd did not start: .*\n.*disk is full, said after .*--bootstrap/;
    await expect(startDatabaseServer({ kind: "mariadbd" })).rejects.toThrow(message);
  });

  /** What the lab says when it uses the fake instead. */
  async function messagesOfFake(): Promise<string> {
    const messages: string[] = [];
    const server = await startDatabaseServer({ url: "", onProgress: (message) => messages.push(message) });
    await server.stop();
    expect(server.kind).toBe("fake");
    return messages.join("\n");
  }

  test("is reported, and the lab uses the fake", async () => {
    install("mariadbd", "10.11.19-MariaDB");
    expect(await messagesOfFake()).toMatch(/starting .*mariadbd(.|\n)*disk is full(.|\n)*MYSQL_URL(.|\n)*fake/);
  });

  test("is initialized Oracle's way if it is Oracle's", async () => {
    install("mysqld", "8.4.6 for Linux on x86_64 (MySQL Community Server - GPL)");
    const start = startDatabaseServer({ kind: "mysqld" });
    await expect(start).rejects.toThrow(/--defaults-file=.*\/my.cnf --initialize-insecure/);
  });

  test("is set up as MariaDB if it is only called mysqld", async () => {
    install("mysqld", "10.3.39-MariaDB");
    jest.spyOn(fs, "accessSync").mockImplementation((file) => {
      if (file !== path.join(directory, "mysqld")) throw new Error("ENOENT");
    });
    await expect(startDatabaseServer({ kind: "mariadbd" })).rejects.toThrow(/mysqld did not start: .*\n.*--bootstrap/);
  });

  test("is an error that says what to install if there is no server", async () => {
    jest.spyOn(fs, "accessSync").mockImplementation(() => {
      throw new Error("ENOENT");
    });
    await expect(startDatabaseServer({ kind: "mariadbd" })).rejects.toThrow("apt install mariadb-server-core");
    expect(await messagesOfFake()).toMatch(/^.*MYSQL_URL.*$/);
  });
});

describe("MYSQL_URL", () => {
  test.each([
    ["not a url", 'MYSQL_URL "not a url" is not a URL'],
    ["postgres://lab:secret@db/lab", 'MYSQL_URL "postgres://lab:****@db/lab" begins with postgres:'],
    ["mysql://lab:secret@/lab", 'MYSQL_URL "mysql://lab:****@/lab" is not a URL'],
    ["mysql:///lab", "names no host"],
    ["mysql://db/lab", "names no user"],
    ["mysql://lab:secret@db:3306", 'MYSQL_URL "mysql://lab:****@db:3306" names no database'],
    ["mysql://lab@db:3306/", 'MYSQL_URL "mysql://lab@db:3306/" names no database'],
    ["mysql://lab:secret@db:99999/lab", "is not a URL"],
    ["mysql://lab:se%cret@db/lab", 'MYSQL_URL "mysql://lab:****@db/lab" has a %'],
    ["mysql://lab:secret@db/lab?ssl=true", "has options (?ssl=true)"],
    ["lab:se//cr@et@db/lab", 'MYSQL_URL "lab:****@db/lab"'],
  ])("%j is refused", async (url, message) => {
    const error: unknown = await startDatabaseServer({ url }).catch((error: unknown) => error);
    expect(String(error)).toContain(message);
    expect(String(error)).toContain("expected mysql://user:password@host:port/database (set it in the environment");
    expect(String(error)).not.toContain("secret");
  });

  test("must be set if a server by URL is requested", async () => {
    await expect(startDatabaseServer({ url: "", kind: "url" })).rejects.toThrow('MYSQL_URL "" is not set; expected');
  });

  describe("of a server", () => {
    let server: DatabaseServer;
    const before = process.env["MYSQL_URL"];

    beforeAll(async () => {
      server = await startDatabaseServer({ kind: "mariadbd" });
    });
    afterAll(async () => {
      process.env["MYSQL_URL"] = before ?? "";
      await server.stop();
    });

    test("names the one that is used before all others and never stopped", async () => {
      const { user, password, host, port, database } = server;
      process.env["MYSQL_URL"] = `mysql://${user}:${password}@${host}:${port}/${database}`;
      const byUrl = await startDatabaseServer();
      expect(byUrl).toMatchObject({ kind: "url", user, password, host, port, database, pid: undefined });
      expect(byUrl.description).toMatch(/^MariaDB \d+\.\d+\.\d+ at 127\.0\.0\.1:\d+ \(MYSQL_URL\)$/);
      const client = await connect(byUrl);
      expect(await byUrl.heldThreads([client.threadId, 4711])).toEqual(new Set([client.threadId]));
      client.destroy();
      await until(async () => (await byUrl.abortedClients()) === 1);
      await byUrl.stop();
      expect(await server.abortedClients()).toBe(1);
    });

    test("that refuses the password does not work, and the message does not show the password", async () => {
      const message = /^MYSQL_URL "mysql:\/\/lab:\*{4}@127.* does not work: Access denied for user/;
      const url = `mysql://lab:wrong@127.0.0.1:${server.port}/lab`;
      await expect(startDatabaseServer({ url })).rejects.toThrow(message);
    });
  });
});
