/** How a protocol cuts its bytes into frames. */
export interface Framing {
  /** Bytes that say how long a frame is. */
  readonly headerBytes: number;
  /** Bytes of a frame that {@link FrameReader} hands over in one piece, if the frame has them. */
  readonly headBytes: number;
  /** The length with the header. */
  readonly length: (bytes: Buffer, at: number) => number;
}

/** Finds the frames in a stream, and keeps none of their content. */
export class FrameReader {
  private rest = 0;
  private partial: Buffer | undefined;
  /** The stream is not made of such frames. */
  isBroken = false;

  constructor(
    readonly framing: Framing,
    private readonly onFrame: (bytes: Buffer, at: number, length: number) => void,
  ) {}

  get isBetweenFrames(): boolean {
    return this.rest === 0 && this.partial === undefined;
  }

  read(chunk: Buffer): void {
    const bytes = this.partial === undefined ? chunk : Buffer.concat([this.partial, chunk]);
    this.partial = undefined;
    let at = this.rest;
    this.rest = 0;
    while (at < bytes.length && !this.isBroken) {
      const { headerBytes, headBytes } = this.framing;
      const left = bytes.length - at;
      const length = left < headerBytes ? Infinity : this.framing.length(bytes, at);
      if (left < Math.min(headBytes, length)) {
        this.partial = Buffer.from(bytes.subarray(at));
        return;
      }
      if (length < headerBytes) {
        this.isBroken = true;
        return;
      }
      this.onFrame(bytes, at, length);
      at += length;
    }
    this.rest = Math.max(0, at - bytes.length);
  }
}
