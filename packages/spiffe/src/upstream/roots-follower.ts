import { Buffer } from 'node:buffer';
import type { UpstreamAuthority } from '../authority/upstream-authority.ts';

/** Looks at an upstream's roots now and then, for as many as follow them. */
export interface RootsFollower {
  readonly followRoots: NonNullable<UpstreamAuthority['followRoots']>;
  stop(): void;
}

/** @param read all roots of the moment; what it throws is news of trouble, and the roots stand */
export function createRootsFollower(
  read: () => Promise<readonly Uint8Array[]>,
  { everyMs }: { readonly everyMs: number },
): RootsFollower {
  const stops = new Set<() => void>();
  return {
    followRoots: ({ onRoots, onError }) => {
      let known = '';
      let isLooking = false;
      let isStopped = false;
      const look = async (): Promise<void> => {
        if (isLooking) return;
        isLooking = true;
        try {
          const roots = await read();
          const text = roots.map((der) => Buffer.from(der).toString('base64')).join(' ');
          if (text === known || isStopped) return;
          known = text;
          onRoots(roots);
        } catch (error) {
          if (!isStopped) onError(error);
        } finally {
          isLooking = false;
        }
      };
      // A follower alone does not keep a process alive.
      const timer = setInterval(look, everyMs).unref();
      const stop = (): void => {
        isStopped = true;
        clearInterval(timer);
        stops.delete(stop);
      };
      stops.add(stop);
      void look();
      return stop;
    },
    stop: () => {
      for (const stop of stops) stop();
    },
  };
}
