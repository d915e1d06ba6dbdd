import type { LogPusherOptions } from '@countersign/audit';
import { type Dispatcher, request } from 'undici';
import { bounded } from './bounded-body.ts';

const ANSWER_BYTES_MAX = 64 * 1024;

/** How a log's entries go to the collector at `origin`, the authority's control listener. */
export function postEntries(origin: string, dispatcher: Dispatcher): LogPusherOptions['post'] {
  return async (path, body) => {
    const answer = await request(`${origin}${path}`, {
      dispatcher,
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body,
    });
    return {
      status: answer.statusCode,
      json: JSON.parse(await bounded(answer.body, ANSWER_BYTES_MAX)),
    };
  };
}
