/**
 * Everything the SDK throws, as one tree.
 *
 * IrisError
 * ├─ ApiError         the server said no; `name` is in the catalogue (UNKNOWN_USER, HANDLE_TAKEN, CREDENTIALS_WRONG, …)
 * ├─ Offline          the server cannot be reached
 * ├─ ProfileError     no profile there, or not one that may be used; or the browser cannot keep it
 * ├─ LoggedOut        the server takes no token of this device any more
 * ├─ ClientClosed     close() was called
 * ├─ OutboxFull       as many messages wait as the outbox holds
 * └─ PayloadTooLarge  the message is above what one message may hold
 */

export class IrisError extends Error {
  override name = "IrisError";
}

/** The server refused a request. */
export class ApiError extends IrisError {
  /** The catalogue's name; HTTP_502 and the like when the answer was not the server's. */
  override readonly name: string;
  readonly code: number;
  readonly status: number;
  readonly detail: string;
  readonly retryAfterMs: number;
  /** What was wrong with which field. */
  readonly fields: readonly { readonly field: string; readonly message: string }[];

  constructor(
    name: string,
    said: {
      code?: number;
      status?: number;
      detail?: string;
      retryAfterMs?: number;
      fields?: readonly { field: string; message: string }[];
    } = {},
  ) {
    const fields = said.fields ?? [];
    const parts = [name, said.detail ?? "", fields.map((one) => `${one.field}: ${one.message}`).join("; ")];
    super(parts.filter((part) => part !== "").join(": "));
    this.name = name;
    this.code = said.code ?? 0;
    this.status = said.status ?? 0;
    this.detail = said.detail ?? "";
    this.retryAfterMs = said.retryAfterMs ?? 0;
    this.fields = fields;
  }
}

export class Offline extends IrisError {
  override name = "Offline";
}

export class ProfileError extends IrisError {
  override name = "ProfileError";
}

export class LoggedOut extends IrisError {
  override name = "LoggedOut";
}

export class ClientClosed extends IrisError {
  override name = "ClientClosed";
}

export class OutboxFull extends IrisError {
  override name = "OutboxFull";
}

export class PayloadTooLarge extends IrisError {
  override name = "PayloadTooLarge";
}
