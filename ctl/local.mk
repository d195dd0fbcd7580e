# what this room builds
