import { setTimeout as sleep } from 'node:timers/promises';
import { BankError } from '../bank-error.ts';
import type { Scene, SceneResult, TourEnvironment } from './scene.ts';

/** A scene that is over. */
export interface PlayedScene extends SceneResult {
  readonly scene: Scene;
  readonly milliseconds: number;
}

/** How to play. */
export interface TourOptions {
  readonly scenes: readonly Scene[];
  /** Told as each scene ends, in the order in which they do. */
  readonly onPlayed?: (played: PlayedScene) => void;
}

/** Scenes at once: they mostly wait for each other's processes. */
const AT_ONCE = 4;
/** A scene that takes longer has failed. */
const SCENE_MS_MAX = 42_000;

/**
 * Plays scenes against a running bank, several at once, each after those that it names. A scene that
 * throws or takes too long is a scene that failed, and says so; the others go on.
 *
 * @returns in the order of `scenes`
 * @throws {BankError} `ERR_BANK_TOUR` when scenes wait for each other, or for one that is not there
 */
export async function runTour(env: TourEnvironment, options: TourOptions): Promise<PlayedScene[]> {
  const { scenes, onPlayed } = options;
  const played = new Map<string, PlayedScene>();
  const playing = new Map<string, Promise<void>>();
  while (played.size < scenes.length) {
    const ready = scenes.filter(
      ({ name, after = [] }) =>
        !played.has(name) && !playing.has(name) && after.every((other) => played.has(other)),
    );
    for (const scene of ready.slice(0, AT_ONCE - playing.size)) {
      const one = play(env, scene).then((result) => {
        played.set(scene.name, result);
        playing.delete(scene.name);
        onPlayed?.(result);
      });
      playing.set(scene.name, one);
    }
    if (playing.size === 0) {
      const names = scenes.filter(({ name }) => !played.has(name)).map(({ name }) => name);
      throw new BankError(
        'ERR_BANK_TOUR',
        `could not play ${names.join(', ')}: they wait for each other`,
      );
    }
    await Promise.race(playing.values());
  }
  return scenes.map(({ name }) => played.get(name) as PlayedScene);
}

async function play(env: TourEnvironment, scene: Scene): Promise<PlayedScene> {
  const beginMs = env.now();
  const timer = new AbortController();
  const tooLong = sleep(SCENE_MS_MAX, undefined, { signal: timer.signal }).then(
    (): SceneResult => ({ got: `nothing after ${SCENE_MS_MAX / 1000} s`, ok: false }),
  );
  tooLong.catch(() => undefined);
  let result: SceneResult;
  try {
    result = await Promise.race([scene.run(env), tooLong]);
  } catch (error) {
    result = { got: error instanceof Error ? error.message : 'an unknown error', ok: false };
  } finally {
    timer.abort();
  }
  return { scene, ...result, milliseconds: env.now() - beginMs };
}
