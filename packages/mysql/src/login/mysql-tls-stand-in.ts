import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";

/** Stands in for a MySQL server as far as a log-in over TLS goes. It takes every user, and answers a statement with OK. */
export interface MysqlTlsStandIn {
  readonly port: number;
  /** One entry for each log-in that came over TLS. */
  readonly logIns: readonly LogIn[];
  close(): void;
}

export interface LogIn {
  /** The name that the client asked for (SNI), or false. */
  readonly serverName: string | false | null;
  readonly resumed: boolean;
  /** All that the client sent, log-in and answers to the server's plugins. */
  readonly sent: string;
}

const SSL_REQUEST_BYTES = 36;
const CLIENT_SSL = 0x800;
const CAPABILITIES = 0x1 | 0x8 | 0x200 | CLIENT_SSL | 0x2000 | 0x8000 | 0x80000;
const OK = Buffer.from([0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00]);
const COM_QUIT = 0x01;

/** @param plugin asked of the client after its log-in, for example `mysql_clear_password` */
export async function mysqlTlsStandIn(
  address: string,
  certificate: { readonly key: string; readonly cert: string },
  plugin?: string,
): Promise<MysqlTlsStandIn> {
  const secureContext = createSecureContext(certificate);
  const logIns: LogIn[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write(packet(0, greeting()));
    // No more than the request: what comes behind it is already TLS, and Node.js takes that from the socket.
    socket.on("readable", function request() {
      const header = socket.read(SSL_REQUEST_BYTES) as Buffer | null;
      if (header === null) return;
      socket.off("readable", request);
      if ((header.readUInt32LE(4) & CLIENT_SSL) === 0) return void socket.destroy();
      const secure = new TLSSocket(socket, { isServer: true, secureContext });
      secure.on("error", () => undefined);
      serve(secure);
    });
  });

  const serve = (secure: TLSSocket): void => {
    let sent = "";
    let loggedIn = false;
    const accept = (sequence: number): void => {
      loggedIn = true;
      const { servername } = secure as unknown as { readonly servername: LogIn["serverName"] };
      logIns.push({ serverName: servername, resumed: secure.isSessionReused(), sent });
      secure.write(packet(sequence, OK));
    };
    secure.on("data", (data: Buffer) => {
      if (loggedIn) return data[4] === COM_QUIT ? void secure.end() : void secure.write(packet(1, OK));
      const first = sent === "";
      const sequence = (data[3] ?? 0) + 1;
      sent += data.toString("latin1", 4);
      if (first && plugin !== undefined) secure.write(packet(sequence, Buffer.from(`\xfe${plugin}\0`, "latin1")));
      else accept(sequence);
    });
  };

  server.listen(0, address);
  await once(server, "listening");
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => sockets.add(socket));
  return {
    port: (server.address() as AddressInfo).port,
    logIns,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html */
function greeting(): Buffer {
  const scramble = "0123456789abcdefghij";
  const fixed = Buffer.alloc(18);
  fixed.writeUInt16LE(CAPABILITIES & 0xffff, 0);
  fixed[2] = 45; // utf8mb4
  fixed.writeUInt16LE(2, 3);
  fixed.writeUInt16LE(CAPABILITIES >>> 16, 5);
  fixed[7] = scramble.length + 1;
  return Buffer.concat([
    Buffer.from("\x0a8.4.0-stand-in\0\x07\0\0\0", "latin1"),
    Buffer.from(`${scramble.slice(0, 8)}\0`),
    fixed,
    Buffer.from(`${scramble.slice(8)}\0mysql_native_password\0`),
  ]);
}

function packet(sequence: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUIntLE(payload.length, 0, 3);
  header[3] = sequence;
  return Buffer.concat([header, payload]);
}
