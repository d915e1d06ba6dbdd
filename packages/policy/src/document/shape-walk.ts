import { z } from 'zod';
import type { Path } from './source-document.ts';

/** The part of a shape that a path leads to. */
export function shapeAt(shape: z.ZodType, path: Path): unknown {
  let at: unknown = shape;
  for (const step of path) {
    const structure = structureOf(at);
    if (structure instanceof z.ZodObject) at = structure.def.shape[String(step)];
    else if (structure instanceof z.ZodArray) at = structure.def.element;
    else if (structure instanceof z.ZodRecord) at = structure.def.valueType;
    else return undefined;
  }
  return at;
}

/** A shape and what it wraps: defaults, optionals, transformations. */
function* layersOf(shape: unknown): Generator<z.ZodType> {
  let layer: unknown = shape;
  while (layer instanceof z.ZodType) {
    yield layer;
    if (
      layer instanceof z.ZodDefault ||
      layer instanceof z.ZodPrefault ||
      layer instanceof z.ZodOptional
    )
      layer = layer.def.innerType;
    else if (layer instanceof z.ZodPipe) layer = layer.def.in;
    else return;
  }
}

/** A shape without defaults, optionals and transformations. */
export function structureOf(shape: unknown): z.ZodType | undefined {
  return [...layersOf(shape)].at(-1);
}

/** What a shape says that it is for. */
export function descriptionOf(shape: unknown): string | undefined {
  for (const layer of layersOf(shape)) {
    const description = layer.meta()?.description;
    if (description !== undefined) return description;
  }
  return undefined;
}

/** A shape's first example, as a file would have it. */
export function exampleOf(shape: unknown): string | undefined {
  for (const layer of layersOf(shape)) {
    const examples: unknown = layer.meta()?.['examples'];
    const example: unknown = Array.isArray(examples) ? examples[0] : undefined;
    if (example !== undefined)
      return typeof example === 'string' ? example : JSON.stringify(example);
  }
  return undefined;
}

/** The value that a path leads to, over own members only. */
export function valueAt(value: unknown, path: Path): unknown {
  let at: unknown = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<PropertyKey, unknown>)[step];
  }
  return at;
}
