import type { Socket } from "node:net";

/**
 * Tells Node.js which host a socket leads to, for the check of the certificate. It knows the host by itself only where it
 * asked DNS for it: for an IP address it would compare the certificate with "localhost". `tls.connect` reads the
 * property that is set here (https://github.com/nodejs/node/blob/v24.x/lib/internal/tls/wrap.js), and mysql2 passes on no option
 * that says the same.
 */
export function namedForCertificate(socket: Socket, host: string): Socket {
  return Object.assign(socket, { _host: host });
}
