/** Somebody who writes much, without a browser and without a profile: the SDK's core on a WebSocket, as fast as the server takes it. */

import { randomBytes } from "node:crypto";
import { type Address, parseServer } from "../../sdk/typescript/src/address.js";
import { LIMITS } from "../../sdk/typescript/src/catalogue.js";
import { encodeContent } from "../../sdk/typescript/src/content/codec.js";
import { ClientCore } from "../../sdk/typescript/src/core/client.js";
import type { Effect, Write } from "../../sdk/typescript/src/core/effects.js";
import { HttpApi } from "../../sdk/typescript/src/http.js";
import { directConversation, userRaw } from "../../sdk/typescript/src/ids.js";
import { SUBPROTOCOL } from "../../sdk/typescript/src/link.js";
import { nodePlatform } from "../../sdk/typescript/src/platform/node.js";
import type { Socket } from "../../sdk/typescript/src/platform/platform.js";
import { newNonce } from "../../sdk/typescript/src/tokens.js";
import { decodeFrame, encodeFrame, encodeSend } from "../../sdk/typescript/src/wire.js";
import { PASSWORD } from "./people.js";

const platform = nodePlatform("iris-test/0.1");
const TICK_MS = 20;

export class Sender {
  private readonly texts = new Map<string, string>();
  private readonly core: ClientCore;
  private socket: Socket | undefined;
  private turning = false;
  private readonly timer: NodeJS.Timeout;
  private done: () => void = () => {};

  private constructor(
    private readonly address: Address,
    private readonly api: HttpApi,
    private readonly token: string,
    private readonly user: string,
    device: number,
  ) {
    this.core = new ClientCore({ user, device, seq: 0, rev: 0, conversations: [] }, LIMITS, "iris-test/0.1");
    this.timer = setInterval(() => this.turn(() => this.core.tick(platform.monotonic(), 0.5)), TICK_MS);
  }

  /** Registers, logs in and connects. */
  static async arrive(url: string, handle: string, name: string): Promise<Sender> {
    const address = parseServer(url);
    const { fetch } = platform;
    const open = new HttpApi(address, { fetch });
    await open.register({ handle, password: PASSWORD, name });
    const session = await open.logIn({
      handle,
      password: PASSWORD,
      deviceName: "a program",
      nonce: newNonce(platform),
    });
    const { accessToken } = session;
    const api = new HttpApi(address, { fetch, token: async () => accessToken });
    const sender = new Sender(address, api, accessToken, userRaw(session.user), session.device);
    sender.turn(() => sender.core.start());
    return sender;
  }

  /** Writes to somebody; resolves when the server has accepted all. */
  async write(handle: string, texts: readonly string[]): Promise<void> {
    const { user } = await this.api.handle(handle);
    const conversation = directConversation(this.user, userRaw(user));
    const ids = texts.map(() => randomBytes(16).toString("hex"));
    for (const [n, id] of ids.entries()) this.texts.set(id, texts[n] ?? "");
    const accepted = new Promise<void>((resolve) => {
      this.done = resolve;
    });
    this.turn(() =>
      this.core.queued(
        ids.map((id) => [conversation, id, false] as const),
        platform.monotonic(),
      ),
    );
    await accepted;
  }

  end(): void {
    clearInterval(this.timer);
    this.turn(() => this.core.stop());
  }

  /** Gives the core something, then does what it asks. */
  private turn(input: () => void): void {
    input();
    if (this.turning) return;
    this.turning = true;
    for (let effect = this.core.poll(); effect !== undefined; effect = this.core.poll()) this.perform(effect);
    this.turning = false;
  }

  private perform(effect: Effect): void {
    if ("need_token" in effect) this.core.token(this.token);
    else if ("connect" in effect) this.connect();
    else if ("close_connection" in effect) this.socket?.close(effect.close_connection.code);
    else if ("send_frame" in effect) this.socket?.send(encodeFrame(effect.send_frame));
    else if ("commit" in effect) this.commit(effect.commit.number, effect.commit.writes);
    else if ("send_message" in effect) {
      const body = this.texts.get(effect.send_message.message_id) ?? "";
      const said = { kind: "text", body, reply_to: undefined, forwarded: false, mentions: [] } as const;
      this.socket?.send(encodeSend(effect.send_message, encodeContent(said)));
    }
  }

  /** Kept nowhere: who ends has said it. */
  private commit(number: number, writes: readonly Write[]): void {
    for (const write of writes) {
      if (!("save_answer" in write)) continue;
      if (write.save_answer.code !== 0) throw new Error(`refused: ${write.save_answer.code}`);
      this.texts.delete(write.save_answer.message_id);
    }
    this.core.committed(number, platform.monotonic());
    if (this.texts.size === 0) this.done();
  }

  private connect(): void {
    const socket = platform.openSocket(this.address.connectUrl, [SUBPROTOCOL]);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.turn(() => this.core.opened(false));
    socket.onclose = ({ code }) => this.turn(() => this.core.lost(code, platform.monotonic(), 0.5));
    socket.onmessage = ({ data }) => {
      const frame = decodeFrame(new Uint8Array(data as ArrayBuffer));
      if (frame !== undefined) this.turn(() => this.core.receive(frame, platform.monotonic()));
    };
  }
}
