import type { Socket } from "node:net";
import { fs } from "../node-runtime.ts";

/** Asks the kernel whether bytes, or the end, wait in a socket that the event loop has not read. Takes one byte away. */
export function hasUnread(socket: Socket): boolean {
  const { fd } = (socket as unknown as { readonly _handle: { readonly fd?: number } | null })._handle ?? {};
  if (fd === undefined || fd < 0) return false;
  try {
    fs.readSync(fd, Buffer.alloc(1));
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "EAGAIN";
  }
}
