import type { IpAddress } from '../value/extension.ts';
import { parseIp } from '../value/parse-ip.ts';
import { asIp, asText } from './argument.ts';
import { constructorFailure } from './failure.ts';
import type { ExtensionFunction } from './place.ts';

/** @see https://docs.cedarpolicy.com/policies/syntax-operators.html — functions of `ipaddr` */
export const ipFunctions: { readonly [name: string]: ExtensionFunction } = {
  ip: {
    arity: 1,
    call(first, _second, place) {
      const text = asText(first, 0, place);
      const ip = parseIp(text);
      if (ip === undefined) throw constructorFailure('ip', text, place.span);
      return ip;
    },
  },
  isIpv4: { arity: 1, call: (first, _second, place) => asIp(first, 0, place).version === 4 },
  isIpv6: { arity: 1, call: (first, _second, place) => asIp(first, 0, place).version === 6 },
  isLoopback: { arity: 1, call: (first, _second, place) => isLoopback(asIp(first, 0, place)) },
  isMulticast: { arity: 1, call: (first, _second, place) => isMulticast(asIp(first, 0, place)) },
  isInRange: {
    arity: 2,
    call: (first, second, place) => isInRange(asIp(first, 0, place), asIp(second, 1, place)),
  },
};

/** The whole range lies in 127.0.0.0/8 or is ::1: the prefix counts, too. */
function isLoopback({ bits, prefix }: IpAddress): boolean {
  return typeof bits === 'number'
    ? bits >>> 24 === 127 && prefix >= 8
    : bits === 1n && prefix === 128;
}

/** The whole range lies in 224.0.0.0/4 or ff00::/8. */
function isMulticast({ bits, prefix }: IpAddress): boolean {
  return typeof bits === 'number'
    ? bits >>> 28 === 14 && prefix >= 4
    : bits >> 120n === 0xffn && prefix >= 8;
}

/** Whether every address of `inner` is one of `outer`; two families never are. */
function isInRange(inner: IpAddress, outer: IpAddress): boolean {
  if (inner.prefix < outer.prefix) return false;
  const [one, other] = [inner.bits, outer.bits];
  if (typeof one === 'number') {
    // A shift by 32 would be one by 0.
    if (typeof other !== 'number') return false;
    return outer.prefix === 0 || (one ^ other) >>> (32 - outer.prefix) === 0;
  }
  return typeof other === 'bigint' && (one ^ other) >> BigInt(128 - outer.prefix) === 0n;
}
