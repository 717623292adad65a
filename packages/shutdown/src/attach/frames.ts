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
    const { partial } = this;
    let at = this.rest;
    this.rest = 0;
    if (partial !== undefined) {
      // Not the whole chunk: that copy would cost more than all else here.
      const head = Buffer.concat([partial, chunk.subarray(0, this.framing.headBytes)]);
      at = this.readFrames(head, 0, 1) - partial.length;
      if (this.partial !== undefined) return;
    }
    at = this.readFrames(chunk, at);
    this.rest = Math.max(0, at - chunk.length);
  }

  /** @returns the offset behind the last frame */
  private readFrames(bytes: Buffer, from: number, most = Infinity): number {
    const { headerBytes, headBytes, length: lengthOf } = this.framing;
    const { onFrame } = this;
    const end = bytes.length;
    this.partial = undefined;
    let at = from;
    // Every row of a result passes here.
    for (let frames = 0; at < end && frames < most && !this.isBroken; frames += 1) {
      const left = end - at;
      if (left < headBytes && (left < headerBytes || left < lengthOf(bytes, at))) {
        this.partial = Buffer.from(bytes.subarray(at));
        break;
      }
      const length = lengthOf(bytes, at);
      if (length < headerBytes) this.isBroken = true;
      else onFrame(bytes, at, length);
      at += length;
    }
    return at;
  }
}
