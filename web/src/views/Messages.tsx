/**
 * The messages of a conversation. The model holds a stretch of at most KEPT_MAX; here it is shown, what is in sight stays where it is
 * when messages come in above or below, and the model is told when an edge is near.
 */

import type { Message } from "@iris-im/sdk";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { number, t } from "../i18n/index.js";
import type { OpenChat, SessionModel } from "../models/session.js";
import { keyOf } from "../models/timeline.js";
import { dayName } from "../models/words.js";
import { Bubble } from "./Bubble.js";
import { Icon } from "./Icon.js";
import { MessageMenu } from "./MessageMenu.js";
import { preview } from "./messageText.js";
import { Empty } from "./parts.js";
import { Scroll } from "./scroll.js";

interface Props {
  session: SessionModel;
  open: OpenChat;
}

export function Messages({ session, open }: Props) {
  const { chat } = open;
  const box = useRef<HTMLDivElement>(null);
  const scroll = useRef<Scroll | undefined>(undefined);
  const [focusKey, setFocusKey] = useState("");
  const [menu, setMenu] = useState<{ message: Message; at: DOMRect } | undefined>();
  const items = chat.items.value;
  const target = chat.target.value;
  const loaded = chat.loaded.value;
  const name = session.people.nameOf(chat.peer);

  useLayoutEffect(() => {
    if (box.current === null) return;
    const made = new Scroll(box.current, chat);
    scroll.current = made;
    return () => made.end();
  }, [chat]);
  useLayoutEffect(() => scroll.current?.changed(), [items, target, loaded]);
  useEffect(() => {
    if (loaded) open.composer.focus();
  }, [loaded, open]);

  const lastKey = chat.messages.value.at(-1);
  const stop = focusKey !== "" && items.some((one) => one.key === focusKey) ? focusKey : lastKey ? keyOf(lastKey) : "";
  const move = (event: KeyboardEvent) => {
    const here = (event.target as HTMLElement).closest<HTMLElement>("li[data-message]");
    if (here === null || event.target !== here) return;
    const step = { ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" } as const;
    if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      let next = here[step[event.key]];
      while (next !== null && !(next as HTMLElement).dataset.message) next = next[step[event.key]];
      if (next === null) return;
      setFocusKey((next as HTMLElement).dataset.key ?? "");
      (next as HTMLElement).focus();
    } else if (event.key === "Enter" || event.key === "ContextMenu" || event.key === " ") {
      event.preventDefault();
      const message = chat.messages.value.find((one) => keyOf(one) === here.dataset.key);
      if (message !== undefined)
        setMenu({ message, at: (here.querySelector(".bubble") ?? here).getBoundingClientRect() });
    }
  };
  const announced = chat.announced.value;
  return (
    <div class="messages-box">
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the arrow keys move among the messages inside */}
      <div ref={box} class="messages" data-loaded={loaded} onScroll={() => scroll.current?.scrolled()} onKeyDown={move}>
        {loaded && items.length === 0 && <Empty title={t("chat.empty", { name })} text={t("chat.empty.text")} />}
        <ol aria-label={t("chat.messages", { name })}>
          {items.map((item) =>
            item.kind === "day" ? (
              <li key={item.key} class="day">
                <span>{dayName(item.at, session.ports.now())}</span>
              </li>
            ) : item.kind === "gap" ? (
              <li key={item.key} class="gap">
                <span>{t("chat.gap")}</span>
              </li>
            ) : item.kind === "unread" ? (
              <li key={item.key} class="unread" data-key="unread">
                <span>{t("chat.unread", { n: item.count })}</span>
              </li>
            ) : (
              <Bubble
                key={item.key}
                session={session}
                open={open}
                message={item.message}
                first={item.first}
                last={item.last}
                stop={item.key === stop}
                lit={chat.highlighted.value === item.key}
                onMenu={(message, at) => setMenu({ message, at })}
              />
            ),
          )}
        </ol>
      </div>
      <div class="hidden" role="log" aria-live="polite">
        {announced && <p key={keyOf(announced)}>{t("message.from", { name, text: preview(announced) })}</p>}
      </div>
      {!chat.atEnd.value && loaded && (
        <button
          type="button"
          class="to-end"
          aria-label={t("chat.toEnd")}
          title={t("chat.toEnd")}
          onClick={() => void chat.toEnd()}
        >
          <Icon name="down" />
          {chat.below.value > 0 && <span class="badge">{number(chat.below.value)}</span>}
        </button>
      )}
      {menu && (
        <MessageMenu
          session={session}
          open={open}
          message={menu.message}
          at={menu.at}
          onClose={() => setMenu(undefined)}
        />
      )}
    </div>
  );
}
