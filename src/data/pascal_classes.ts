/** Names and numbers of the PASCAL and NYUD labels. */

export const PASCAL_SEMSEG_CLASSES = [
  'background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
  'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor',
] as const;

export const HUMAN_PARTS_CLASSES = [
  'background', 'head', 'torso', 'upper arm', 'lower arm', 'upper leg', 'lower leg',
] as const;

/** The object category whose parts are painted. */
export const PERSON = 15;

/** PASCAL-Part's part names of a person, by the class that they are painted with. */
const PART_NAMES: readonly (readonly string[])[] = [
  [],
  ['head', 'hair', 'lear', 'rear', 'lebrow', 'rebrow', 'leye', 'reye', 'mouth', 'nose'],
  ['torso', 'neck'],
  ['luarm', 'ruarm'],
  ['llarm', 'rlarm', 'lhand', 'rhand'],
  ['luleg', 'ruleg'],
  ['llleg', 'rlleg', 'lfoot', 'rfoot'],
];
export const PART_CLASS: ReadonlyMap<string, number> =
  new Map(PART_NAMES.flatMap((names, part) => names.map((name) => [name, part] as const)));

/** The 170 PASCAL-Context classes with a surface whose normals mean something (things, not sky or water). */
export const NORMALS_CLASSES: ReadonlySet<number> = new Set([
  3, 4, 6, 9, 10, 11, 13, 15, 17, 18, 22, 23, 29, 30, 33, 34, 36, 37, 38, 39, 41, 43, 46, 49, 50, 51,
  53, 55, 56, 59, 61, 62, 65, 66, 68, 69, 72, 73, 78, 83, 84, 85, 87, 88, 95, 96, 101, 104, 105, 107,
  111, 113, 115, 122, 124, 135, 141, 142, 143, 146, 150, 154, 157, 158, 159, 165, 172, 174, 181, 183,
  184, 191, 193, 195, 197, 199, 202, 213, 215, 216, 219, 220, 223, 225, 228, 230, 232, 233, 238, 239,
  242, 243, 246, 250, 251, 252, 255, 260, 261, 263, 269, 272, 273, 275, 281, 283, 284, 285, 286, 287,
  288, 290, 291, 292, 293, 295, 304, 307, 309, 310, 314, 315, 319, 323, 329, 330, 331, 336, 342, 345,
  349, 350, 351, 352, 355, 357, 368, 370, 371, 374, 379, 380, 383, 384, 397, 401, 403, 405, 407, 408,
  411, 412, 413, 414, 417, 419, 421, 423, 427, 429, 430, 432, 440, 441, 442, 443, 444, 446, 454, 457,
]);
