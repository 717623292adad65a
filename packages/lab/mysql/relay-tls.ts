import tls, { TLSSocket, type SecureContext } from "node:tls";
import { CAPABILITIES, isTlsRequest } from "#fake-mysql";
import type { RelayedSide } from "./relayed-side";

const HEADER_LENGTH = 4;
const PROTOCOL_10 = 10;
const SCRAMBLE_AND_FILLER = 9;
const OK = 0x00;
const ERR = 0xff;
const NOTHING = Buffer.alloc(0);

/**
 * The relay's end of a function's TLS. It shows the lab's certificate to a client that asks for TLS, so that COM_QUIT can
 * be seen. To a server with TLS it goes on under TLS. For a server without, it says in the greeting that there is TLS,
 * and keeps the request for TLS to itself. A client that asks for no TLS is passed on as it is.
 *
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
 */
export class RelayTls {
  #greeting: Packets | undefined = new Packets();
  #request: Packets | undefined = new Packets();
  #serverHasTls = false;
  /** As long as the log-in lasts at a server that has not seen the request for TLS, which counts as a packet. */
  #uncounted: { readonly fromFunction: Packets; readonly fromServer: Packets } | undefined;

  /** @param secured is called when the client has asked for TLS */
  constructor(
    private readonly client: RelayedSide,
    private readonly server: RelayedSide,
    private readonly secureContext: SecureContext,
    private readonly secured: () => void,
  ) {}

  /** What goes on to the client of the server's bytes. */
  fromServer(chunk: Buffer): Buffer {
    if (this.#greeting !== undefined) {
      const [packet] = this.#greeting.take(chunk, 1);
      if (packet === undefined) return NOTHING;
      const { rest } = this.#greeting;
      this.#greeting = undefined;
      this.#offerTls(packet);
      return Buffer.concat([packet, rest]);
    }
    if (this.#uncounted === undefined) return chunk;
    const { fromServer } = this.#uncounted;
    const packets = fromServer.take(chunk);
    for (const packet of packets) packet.writeUInt8((packet.readUInt8(3) + 1) & 0xff, 3);
    if (packets.some((packet) => packet[HEADER_LENGTH] === OK || packet[HEADER_LENGTH] === ERR)) {
      this.#uncounted = undefined;
    }
    return Buffer.concat([...packets, ...(this.#uncounted === undefined ? [fromServer.rest] : [])]);
  }

  /** What goes on to the server of the client's bytes. */
  fromFunction(chunk: Buffer): Buffer {
    if (this.#request !== undefined) {
      const [packet] = this.#request.take(chunk, 1);
      if (packet === undefined) return NOTHING;
      const { rest } = this.#request;
      this.#request = undefined;
      if (!isTlsRequest(packet.subarray(HEADER_LENGTH))) return Buffer.concat([packet, rest]);
      this.#secure(packet, rest);
      return NOTHING;
    }
    if (this.#uncounted === undefined) return chunk;
    const packets = this.#uncounted.fromFunction.take(chunk);
    for (const packet of packets) {
      const sequence = packet.readUInt8(3) - 1;
      packet.writeUInt8(sequence & 0xff, 3);
      // The log-in asks for TLS once more, of which the server does not know.
      if (sequence === 1) packet.writeUInt16LE(packet.readUInt16LE(HEADER_LENGTH) & ~CAPABILITIES.SSL, HEADER_LENGTH);
    }
    return Buffer.concat(packets);
  }

  /** Sets the flag for TLS in a greeting of Protocol::HandshakeV10; anything else is a refusal. */
  #offerTls(packet: Buffer): void {
    const versionEnd = packet.indexOf(0, HEADER_LENGTH + 1);
    const flags = versionEnd + 1 + 4 + SCRAMBLE_AND_FILLER;
    if (packet[HEADER_LENGTH] !== PROTOCOL_10 || versionEnd === -1 || packet.length < flags + 2) return;
    const offered = packet.readUInt16LE(flags);
    this.#serverHasTls = (offered & CAPABILITIES.SSL) !== 0;
    packet.writeUInt16LE(offered | CAPABILITIES.SSL, flags);
  }

  #secure(request: Buffer, begun: Buffer): void {
    const { secureContext } = this;
    if (this.#serverHasTls) {
      this.server.write(request);
      // The relay is the server's neighbour: what is to be verified is the certificate that the function sees.
      this.server.secure(NOTHING, (socket) => tls.connect({ socket, ...toServer() }));
    } else {
      this.#uncounted = { fromFunction: new Packets(), fromServer: new Packets() };
    }
    this.client.secure(begun, (socket) => new TLSSocket(socket, { isServer: true, secureContext }));
    this.secured();
  }
}

let context: SecureContext | undefined;

/** Made once: a storm has many connections. */
function toServer(): tls.ConnectionOptions {
  context ??= tls.createSecureContext();
  return { secureContext: context, rejectUnauthorized: false };
}

/** Whole packets of a stream, as copies that may be changed. */
class Packets {
  #received: Buffer = NOTHING;

  get rest(): Buffer {
    return this.#received;
  }

  take(chunk: Buffer, most = Infinity): readonly Buffer[] {
    this.#received = Buffer.concat([this.#received, chunk]);
    const packets: Buffer[] = [];
    while (packets.length < most && this.#received.length >= HEADER_LENGTH) {
      const end = HEADER_LENGTH + this.#received.readUIntLE(0, 3);
      if (this.#received.length < end) break;
      packets.push(this.#received.subarray(0, end));
      this.#received = this.#received.subarray(end);
    }
    return packets;
  }
}
