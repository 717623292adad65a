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
    const { onFrame } = this;
    const end = bytes.length;
    // Every row of a result passes here.
    while (at < end) {
      const left = end - at;
      if (left < headBytes && (left < headerBytes || left < lengthOf(bytes, at))) {
        this.partial = Buffer.from(bytes.subarray(at));
        return;
      }
      const length = lengthOf(bytes, at);
      if (length < headerBytes) {
        this.isBroken = true;
        return;
      }
      onFrame(bytes, at, length);
      at += length;
    }
    this.rest = Math.max(0, at - bytes.length);
  }
}
