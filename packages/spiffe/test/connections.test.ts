import { EventEmitter } from 'node:events';
import { createConnections, parseSpiffeId } from '@countersign/spiffe';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

class Connection extends EventEmitter {
  destroyed = false;
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit('close');
  }
}

const peer = (name: string, notAfterMs: number) => ({
  spiffeId: parseSpiffeId(`spiffe://bank.example/${name}`),
  notAfterMs,
});

function held(...lives: readonly (readonly [string, number])[]) {
  const connections = createConnections({ now: Date.now });
  const all = lives.map(([name, lifeMs]) => {
    const connection = new Connection();
    connections.hold(connection, peer(name, Date.now() + lifeMs));
    return connection;
  });
  return { connections, all, ended: () => all.map(({ destroyed }) => destroyed) };
}

describe('a registry of connections', () => {
  test('ends each one right after its notAfter, and not before', () => {
    const { connections, ended } = held(['a', 3_600_000], ['b', 5000], ['c', 25_000]);
    vi.advanceTimersByTime(5000);
    expect(ended()).toEqual([false, false, false]);
    vi.advanceTimersByTime(1);
    expect(ended()).toEqual([false, true, false]);
    vi.advanceTimersByTime(20_000);
    expect(ended()).toEqual([false, true, true]);
    vi.advanceTimersByTime(3_574_998);
    expect(ended()).toEqual([false, true, true]);
    vi.advanceTimersByTime(2);
    expect(ended()).toEqual([true, true, true]);
    expect(connections.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('sees within ten seconds that the clock was set forward', () => {
    const { ended } = held(['a', 3_600_000]);
    vi.setSystemTime(Date.now() + 7_200_000);
    vi.advanceTimersByTime(10_000);
    expect(ended()).toEqual([true]);
  });

  test('keeps nothing that was over, closed, or whose clock gives no number', () => {
    const { connections, all } = held(['a', -1]);
    expect(all[0]?.destroyed).toBe(true);
    const closed = new Connection();
    closed.destroy();
    connections.hold(closed, peer('a', Date.now() + 1000));
    const lost = createConnections({ now: () => Number.NaN });
    const connection = new Connection();
    lost.hold(connection, peer('a', Date.now() + 1000));
    expect(connection.destroyed).toBe(true);
    expect([connections.size, lost.size]).toEqual([0, 0]);
  });

  test('forgets what closed by itself', () => {
    const { connections, all } = held(['a', 5000], ['a', 5000]);
    all[0]?.destroy();
    expect(connections.size).toBe(1);
    expect(connections.closeIdentity('spiffe://bank.example/a')).toBe(1);
  });

  test('ends those of one identity, those that a caller picks, or all', () => {
    const { connections, ended } = held(['a', 9000], ['b', 9000], ['a', 9000], ['c', 9000]);
    expect(connections.closeIdentity('spiffe://bank.example/a')).toBe(2);
    expect(ended()).toEqual([true, false, true, false]);
    expect(connections.closeWhere(({ spiffeId }) => spiffeId?.uri.endsWith('/b') ?? false)).toBe(1);
    expect(ended()).toEqual([true, true, true, false]);
    expect(connections.closeAll()).toBe(1);
    expect([connections.size, vi.getTimerCount()]).toEqual([0, 0]);
  });

  test('held again with a renewed certificate, lives as long as that', () => {
    const { connections, all } = held(['a', 1000]);
    const [connection = new Connection()] = all;
    connections.hold(connection, peer('b', Date.now() + 5000));
    vi.advanceTimersByTime(2000);
    expect(connection.destroyed).toBe(false);
    expect(connections.closeIdentity('spiffe://bank.example/a')).toBe(0);
    expect(connections.closeIdentity('spiffe://bank.example/b')).toBe(1);
  });

  test('lets each one retire once, between a third and two thirds of what it had left', () => {
    const retired: [string, number][] = [];
    const startMs = Date.now();
    let chance = 0;
    const connections = createConnections({
      now: Date.now,
      random: () => chance,
      onRetire: (connection, { spiffeId }) => {
        expect(connection.destroyed).toBe(false);
        retired.push([spiffeId?.uri.at(-1) ?? '', Date.now() - startMs]);
      },
    });
    for (const [name, lifeMs, random] of [
      ['a', 3_600_000, 0],
      ['b', 3_600_000, 0.5],
      ['c', 30_000, 0],
      ['d', 30_000, 0.9999],
      ['e', 30_000, 0],
    ] as const) {
      chance = random;
      connections.hold(new Connection(), peer(name, startMs + lifeMs));
    }
    connections.closeIdentity('spiffe://bank.example/e');
    vi.advanceTimersByTime(3_600_001);
    expect(retired).toEqual([
      ['c', 10_000],
      ['d', 19_999],
      ['a', 1_200_000],
      ['b', 1_800_000],
    ]);
    expect(connections.size).toBe(0);
  });

  test('ends one also with the certificate that was shown to it', () => {
    const connections = createConnections({ now: Date.now });
    const connection = new Connection();
    connections.hold(connection, peer('a', Date.now() + 5000), { notAfterMs: Date.now() + 1000 });
    vi.advanceTimersByTime(1000);
    expect(connection.destroyed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(connection.destroyed).toBe(true);
  });
});
