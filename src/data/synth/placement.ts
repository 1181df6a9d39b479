import type { Vec3 } from './affine.ts';
import { SYNTH_CLASSES, type ClassName, type Setting } from './classes.ts';
import { TABLE_TOP } from './furniture.ts';
import { MODELS } from './models.ts';
import type { Random } from './random.ts';

/** Where a thing stands, how much it is enlarged, the radius of the ground that it takes (0 on a table). */
export type Placed = {
  readonly name: ClassName;
  readonly at: Vec3;
  readonly size: number;
  readonly radius: number;
};

/** The picture: focal length in its heights, width / height. */
type Frame = { readonly focal: number; readonly aspect: number };

const STANDS_ON_TABLE: readonly ClassName[] = ['bottle', 'cat', 'pottedplant', 'tvmonitor'];
const SHARE_WITH_PEOPLE = 0.6;
const ATTEMPTS = 25;

/** One to four things; people in about six of ten scenes. The first is the one that the camera looks at. */
export function chooseThings(random: Random, setting: Setting): ClassName[] {
  const names = Object.keys(SYNTH_CLASSES) as ClassName[];
  const others = names.filter(
    (name) => name !== 'person' && (SYNTH_CLASSES[name].settings as readonly Setting[]).includes(setting),
  );
  const chosen: ClassName[] = [];
  const withPeople = random.chance(SHARE_WITH_PEOPLE);
  if (withPeople) chosen.push('person');
  if (withPeople && random.chance(0.3)) chosen.push('person');
  const extra = random.pick(withPeople ? [0, 1, 1, 2] : [1, 1, 2, 3]);
  for (let i = 0; i < extra; i++) chosen.push(random.pick(others));
  const first = random.below(chosen.length);
  return [chosen[first]!, ...chosen.filter((_, i) => i !== first)];
}

/** The first stands near the middle, the others around or behind it, no two on the same ground. */
export function placeThings(random: Random, names: readonly ClassName[], frame: Frame): Placed[] {
  const placed: Placed[] = [];
  for (const name of names) {
    const table = placed.find((other) => other.name === 'diningtable');
    const free = placed.every(({ radius }) => radius > 0);
    const thing =
      placed.length === 0
        ? firstThing(random, name, frame)
        : table && free && STANDS_ON_TABLE.includes(name)
          ? onTable(random, name, table)
          : besideOthers(random, name, placed, frame);
    if (thing) placed.push(thing);
  }
  return placed;
}

/** So far off that its height or width takes half of the picture or more: h spans focal·h/distance of it. */
function firstThing(random: Random, name: ClassName, { focal, aspect }: Frame): Placed {
  const { height, radius, size } = MODELS[name];
  const grown = random.between(...size);
  const shown = (random.between(0.5, 0.85) * (random.chance(0.2) ? 1.5 : 1)) / focal;
  const distance = Math.max(height / shown, (1.6 * radius) / (shown * aspect)) * grown + radius * grown * 0.5;
  const halfWidth = (distance * aspect) / (2 * focal);
  return {
    name,
    at: [random.between(-0.3, 0.3) * halfWidth, 0, -distance],
    size: grown,
    radius: radius * grown,
  };
}

function onTable(random: Random, name: ClassName, table: Placed): Placed {
  const [x, z] = [random.between(-0.3, 0.3), random.between(-0.15, 0.15)];
  const at: Vec3 = [table.at[0] + x, TABLE_TOP * table.size, table.at[2] + z];
  return { name, at, size: random.between(...MODELS[name].size) * 0.6, radius: 0 };
}

/** Null where no free ground was found. */
function besideOthers(
  random: Random,
  name: ClassName,
  others: readonly Placed[],
  { focal, aspect }: Frame,
): Placed | null {
  const { radius, size } = MODELS[name];
  const grown = random.between(...size);
  const reach = radius * grown;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const distance = Math.max(-others[0]!.at[2] * random.between(0.8, 2), reach + 1.2);
    const x = (random.between(-0.85, 0.85) * distance * aspect) / (2 * focal);
    const near = others.some(
      ({ at, radius: taken }) =>
        taken > 0 && Math.hypot(at[0] - x, at[2] + distance) < (taken + reach) * 0.85,
    );
    if (!near) return { name, at: [x, 0, -distance], size: grown, radius: reach };
  }
  return null;
}
