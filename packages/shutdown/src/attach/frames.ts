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
    if (this.isBroken) return;
    const bytes = this.partial === undefined ? chunk : Buffer.concat([this.partial, chunk]);
    this.partial = undefined;
    let at = this.rest;
    this.rest = 0;
    const { headerBytes, headBytes, length: lengthOf } = this.framing;
    while (at < bytes.length) {
      const left = bytes.length - at;
      const length = left < headerBytes ? Infinity : lengthOf(bytes, at);
      if (left < headBytes && left < length) {
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
