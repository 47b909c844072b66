/** What the connection is doing, told as it is: nothing while it is live, else one line with what can be done. */

import type { Connection, IrisClient } from "@iris-im/sdk";
import { computed, signal } from "@preact/signals-core";
import { t } from "../i18n/index.js";
import type { Ports } from "./ports.js";

const QUIET_MS = 900; // a start or a short break shows nothing: a line that flashes tells less

export interface Banner {
  readonly kind: "busy" | "offline" | "closed";
  readonly text: string;
  readonly action: "" | "now" | "again" | "here";
}

export class ConnectionModel {
  readonly connection = signal<Connection>({ state: "offline", reason: "", done: 0, total: 0, retryAt: 0 });
  readonly waiting = signal(0);
  private readonly now = signal(0);
  private readonly settled = signal(false);
  private cancelTick: () => void = () => {};
  private cancelSettle: (() => void) | undefined;

  /** Whether the server hears us. */
  readonly live = computed(() => {
    const { state } = this.connection.value;
    return state === "live" || state === "catching_up";
  });

  readonly banner = computed<Banner | undefined>(() => {
    const { state, reason, done, total, retryAt } = this.connection.value;
    if (state === "live") return undefined;
    if (state === "closed") {
      if (reason === "ProfileError") return { kind: "closed", text: t("connection.gone"), action: "here" };
      if (reason === "REPLACED") return { kind: "closed", text: t("connection.replaced"), action: "here" };
      if (/TOKEN|REVOKED|LOGGED_OUT/.test(reason))
        return { kind: "closed", text: t("connection.revoked"), action: "again" };
      return { kind: "closed", text: t("connection.closed", { reason }), action: "here" };
    }
    if (!this.settled.value) return undefined;
    if (state === "catching_up") {
      const counted = total > 0 && done <= total;
      return {
        kind: "busy",
        text: counted ? t("connection.catchingOf", { done, total }) : t("connection.catching"),
        action: "",
      };
    }
    if (state === "connecting") return { kind: "busy", text: t("connection.connecting"), action: "" };
    const seconds = Math.ceil((retryAt - this.now.value) / 1000);
    const text = seconds > 0 ? t("connection.retry", { n: seconds }) : t("connection.offline");
    return { kind: "offline", text, action: "now" };
  });

  constructor(
    private readonly client: IrisClient,
    private readonly ports: Ports,
  ) {
    this.onConnection(client.connection);
  }

  onConnection(connection: Connection): void {
    this.connection.value = connection;
    this.now.value = this.ports.now();
    this.cancelTick();
    if (connection.state === "live" || connection.state === "closed") {
      this.cancelSettle?.();
      this.cancelSettle = undefined;
      this.settled.value = false;
      return;
    }
    this.cancelSettle ??= this.ports.later(QUIET_MS, () => {
      this.settled.value = true;
    });
    if (connection.state === "offline" && connection.retryAt > 0) this.tick();
  }

  /** How many messages wait for the server. */
  async count(): Promise<void> {
    this.waiting.value = await this.client.waiting();
  }

  reconnect(): void {
    this.client.reconnect();
  }

  private tick(): void {
    this.cancelTick = this.ports.later(1000, () => {
      this.now.value = this.ports.now();
      if (this.connection.value.retryAt > this.now.value) this.tick();
    });
  }
}
