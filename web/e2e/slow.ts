/** A slow line in front of a server: every byte comes late, and the line can be cut. */

import { connect, createServer, type Server as Listener, type Socket } from "node:net";

export class SlowLine {
  private readonly open = new Set<Socket>();

  private constructor(
    private readonly listener: Listener,
    readonly url: string,
  ) {}

  static async before(port: number, delayMs: number): Promise<SlowLine> {
    let line: SlowLine | undefined;
    const listener = createServer((near) => {
      const far = connect(port, "127.0.0.1");
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        line?.open.add(from);
        from.on("data", (data) => setTimeout(() => to.writable && to.write(data), delayMs));
        from.on("end", () => setTimeout(() => to.end(), delayMs));
        from.on("error", () => to.destroy());
        from.on("close", () => line?.open.delete(from));
      }
    });
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const address = listener.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    line = new SlowLine(listener, `http://127.0.0.1:${address.port}`);
    return line;
  }

  /** Every connection breaks; new ones may come. */
  cut(): void {
    for (const socket of this.open) socket.destroy();
  }

  end(): void {
    this.listener.close();
    this.cut();
  }
}
