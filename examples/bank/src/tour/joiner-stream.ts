import { setTimeout as sleep } from 'node:timers/promises';
import { type EventStream, followEvents } from '../callers/follow-events.ts';
import type { AccessToken } from '../callers/obtain-token.ts';
import type { Application } from '../callers/open-application.ts';
import type { TourEnvironment } from './scene.ts';

/** How long a point may not know of somebody whom the feed has just told of. */
const UNKNOWN_MS_MAX = 10_000;

/** The stream of account events for somebody who has just joined: tried again until the points have heard of them. */
export async function joinerStream(
  env: TourEnvironment,
  desk: Application,
  token: AccessToken,
): Promise<EventStream> {
  const untilMs = env.now() + UNKNOWN_MS_MAX;
  for (;;) {
    const stream = await followEvents(env, desk, token);
    if (stream.status === 200 || env.now() > untilMs) return stream;
    stream.close();
    await sleep(100);
  }
}
