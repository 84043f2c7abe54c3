/*
 * device.h - SEAM: where contents live when they are not in a frame.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_STORE_DEVICE_H
#define QUIRE_STORE_DEVICE_H

#include "base/types.h"

/* A piece of memory that one transfer fills or empties. */
struct device_vec {
	void *base;
	size_t len;
};

struct device;

struct device_ops {
	/*
	 * Transfers all of vec from (to) byte `offset`. The number of bytes, which is less than
	 * asked only at the end of the device, or -errno. May wait.
	 */
	s64 (*read)(struct device *dev, u64 offset, const struct device_vec *vec, unsigned int nr);
	s64 (*write)(struct device *dev, u64 offset, const struct device_vec *vec, unsigned int nr);
	/* Bytes that the device has now; it may have grown since. */
	u64 (*size)(struct device *dev);
	/* The last user is gone; frees dev. */
	void (*close)(struct device *dev);
};

/* Embedded in what implements it. */
struct device {
	const struct device_ops *ops;
};

#endif
