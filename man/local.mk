# what this room builds
dist_man_MANS += %D%/meshctl.1
