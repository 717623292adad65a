import { EventEmitter } from "node:events";

/** Something happened in an execution environment that a phase may wait for. */
export class Changes {
  private readonly emitter = new EventEmitter().setMaxListeners(0);

  emit(): void {
    this.emitter.emit("change");
  }

  /**
   * Waits until the condition holds, or until the deadline; tells whether it holds.
   *
   * @param deadline as `performance.now()` counts
   */
  async until(deadline: number, condition: () => boolean): Promise<boolean> {
    if (condition()) return true;
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.emitter.off("change", check);
        resolve(condition());
      };
      const check = (): void => {
        if (condition()) finish();
      };
      const timer = setTimeout(finish, Math.max(0, deadline - performance.now()));
      this.emitter.on("change", check);
    });
  }
}
