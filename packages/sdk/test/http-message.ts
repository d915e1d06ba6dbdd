import type { HttpMessage, RequestMessage } from '@countersign/sdk';

/** A message as the vector files hold one. */
export interface RawMessage {
  readonly method?: string;
  readonly targetUri?: string;
  readonly status?: number;
  readonly fields: readonly (readonly [string, string])[];
  readonly request?: RawMessage;
  readonly body?: string;
}

export function messageOf(raw: RawMessage, more: readonly string[] = []): HttpMessage {
  const fields = [...raw.fields.flat(), ...more];
  if (raw.status === undefined) {
    return {
      kind: 'request',
      method: raw.method ?? '',
      targetUri: raw.targetUri ?? '',
      fields,
    };
  }
  const { status, request } = raw;
  return {
    kind: 'response',
    status,
    fields,
    ...(request && { request: messageOf(request) as RequestMessage }),
  };
}
